"""Weight files of V2A-MelSpec and V2A-WaveGAN."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from baselines.v2a.config import MelConfig, V2AConfig, WaveConfig
from baselines.v2a.model import V2A
from f2v_bench.modeling.checkpoint import MODEL, ModelCheckpoint

C = TypeVar("C", bound=V2AConfig)


class V2AWeights(ModelCheckpoint[C]):
    """What both systems' files share."""

    def model(self) -> V2A:
        """The model, ready for synthesis."""
        return self.filled(V2A(self.config, self.standard["mel"]))

    @property
    def uses_lip_encoder(self) -> bool:
        return self.config.front.kind == "frozen"

    @property
    def provenance(self) -> str:
        return f"{super().provenance}, {self._begun}"

    @property
    def _begun(self) -> str:
        """Where the decoder comes from."""
        how = self.config.transfer.how
        return "decoder from scratch" if how == "scratch" else self.config.pretraining.told(how)

    def describe(self) -> dict[str, str]:
        sizes = self.config.conformer
        return {
            "front end": self.config.front.kind,
            "decoder": f"Conformer, {sizes.blocks} x {sizes.width}, batch norm {self.config.norms}",
            "transfer": self._begun,
        }


class MelWeights(V2AWeights[MelConfig]):
    """A weight file of ``v2a-mel``."""

    system = "v2a-mel"
    title = "V2A-MelSpec"
    head = "v2a_mel"
    settings = MelConfig
    weights_dir = Path(__file__).parent / "shipped" / "mel"


class WaveWeights(V2AWeights[WaveConfig]):
    """A weight file of ``v2a-wave``, which says samples and brings no vocoder."""

    system = "v2a-wave"
    title = "V2A-WaveGAN"
    head = "v2a_wave"
    settings = WaveConfig
    weights_dir = Path(__file__).parent / "shipped" / "wave"
    vocoder_key = MODEL

    @property
    def vocoder_name(self) -> str:
        return "its own decoder"

    def vocoder(self) -> None:
        """None: the model says samples."""
