"""``ours``: the reference model as a System, and its voice for any face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.errors import F2VError
from f2v_bench.systems.contract import SpeakerReference, SystemOptions
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from reference_model.synthesis import OursSynthesizer
    from reference_model.weights import Weights

FLOW_SETTINGS = ("steps", "solver", "guidance", "temperature")


class Ours(TrainedSystem):
    """The hierarchical model of *From Faces to Voices* with the weights of the corpus, or those that are named.

    Settings are those of the flow.
    """

    name = "ours"
    summary = "the reference model: content from lips, timbre from the face, prosody from the expression, OT-CFM"
    stages = ("lips", "condition", "decoder", "vocoder")
    settings = FLOW_SETTINGS
    voices = (SpeakerReference.FACE, SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)
    _weights: Weights

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        part = self._weights.ablation
        if part in ("timbre", "hierarchy") and options.speaker_reference:
            raise F2VError(
                f"weights without {part} cannot take the voice from '{options.speaker_reference}'",
                "leave --speaker-reference out",
            )
        if part == "timbre":
            self.speaker_reference = SpeakerReference.NONE

    @classmethod
    def weight_class(cls) -> type[Weights]:
        from reference_model.weights import Weights

        return Weights

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        return self._weights.flow_settings(FLOW_SETTINGS, texts)

    def synthesizer(self, sampling: Mapping[str, Any]) -> OursSynthesizer:
        from reference_model.synthesis import OursSynthesizer

        return OursSynthesizer(self._weights, sampling, self.options.device)
