"""Weight files of Intelligible."""

from __future__ import annotations

from pathlib import Path

from baselines.intelligible.config import IntelligibleConfig
from baselines.intelligible.model import Intelligible
from baselines.intelligible.vocoder import MultiInputVocoder
from f2v_bench.modeling.checkpoint import OWN_VOCODER, ModelCheckpoint


class Weights(ModelCheckpoint[IntelligibleConfig]):
    """A weight file of ``intelligible``, with its own vocoder."""

    system = "intelligible"
    title = "Intelligible Lip-to-Speech"
    head = "intelligible"
    settings = IntelligibleConfig
    weights_dir = Path(__file__).parent / "shipped"
    vocoder_key = OWN_VOCODER

    def model(self) -> Intelligible:
        """The model, ready for synthesis."""
        return self.filled(Intelligible(self.config, self.standard["mel"]))

    def generator(self) -> MultiInputVocoder:
        return MultiInputVocoder(self.config)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.config.front.kind == "frozen"

    def describe(self) -> dict[str, str]:
        sizes, begun = self.config.conformer, self.config.voice.start
        return {
            "front end": self.config.front.kind,
            "decoder": f"Conformer, {sizes.blocks} x {sizes.width}, {self.config.units.count} units",
            "vocoder takes": "mel, units and voice" + (", begun as the shared vocoder" if begun == "vocoder" else ""),
        }
