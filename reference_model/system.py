"""System of the reference model; ablations take their voice from fewer sources."""

from __future__ import annotations

from f2v_bench.errors import F2VError
from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference, SystemOptions


class FacesToVoicesSystem(NeuralSystem):
    """Hierarchical model of *From Faces to Voices* with the weights of the corpus, or with named ones.

    Settings are those of the flow.
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
