"""Weight files of SVTS."""

from __future__ import annotations

from pathlib import Path

from baselines.svts.config import SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.native_24khz import VOCODER
from f2v_bench.modeling.checkpoint import ModelCheckpoint


class Weights(ModelCheckpoint[SVTSConfig]):
    """A weight file of ``svts``."""

    system = "svts"
    title = "SVTS"
    head = "svts"
    settings = SVTSConfig
    weights_dir = Path(__file__).parent / "shipped"

    def model(self) -> SVTS:
        """The model, ready for synthesis."""
        return self.filled(SVTS(self.config, self.standard["mel"]))

    @property
    def uses_lip_encoder(self) -> bool:
        return self.config.front.kind == "frozen"

    @property
    def vocoder_name(self) -> str:
        return VOCODER if self.config.form == "pwg" else super().vocoder_name

    def describe(self) -> dict[str, str]:
        sizes = self.config.conformer
        return {"front end": self.config.front.kind, "decoder": f"Conformer, {sizes.blocks} x {sizes.width}"}
