"""System of the reference model: a choice of the speaker embedding for every ablation."""

from __future__ import annotations

from f2v_bench.errors import F2VError
from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference, SystemOptions


class FacesToVoicesSystem(NeuralSystem):
    """The hierarchical model of *From Faces to Voices*; sampling settings are those of the flow.

    Raises:
        F2VError: a speaker reference for an ablation that has no speaker embedding to replace.
    """

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        part = self.checkpoint.ablation
        if part in ("timbre", "hierarchy") and options.speaker_reference:
            raise F2VError(
                f"weights without {part} cannot take the voice from '{options.speaker_reference}'",
                "leave --speaker-reference out",
            )
        if part == "timbre":
            self.speaker_reference = SpeakerReference.NONE
