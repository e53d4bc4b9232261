"""``ours``: the reference model as a System, and its voice for any face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.errors import F2VError
from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference, SystemOptions

if TYPE_CHECKING:
    from reference_model.spec import Weights
    from reference_model.synthesis import FacesToVoicesSynthesizer

FLOW_SETTINGS = ("steps", "solver", "guidance", "temperature")


class FacesToVoicesSystem(NeuralSystem):
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
    def checkpoint_class(cls) -> type[Weights]:
        from reference_model.spec import Weights

        return Weights

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        return self._weights.flow_settings(FLOW_SETTINGS, texts)

    def synthesizer(self, sampling: Mapping[str, Any]) -> FacesToVoicesSynthesizer:
        from reference_model.synthesis import FacesToVoicesSynthesizer

        return FacesToVoicesSynthesizer(self._weights, sampling, self.options.device)
