"""``intelligible``: lips to speech units and mel, and both with a voice to speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.systems.contract import SpeakerReference
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from baselines.intelligible.synthesis import IntelligibleSynthesizer
    from baselines.intelligible.weights import Weights


class IntelligibleSystem(TrainedSystem):
    """Intelligible with the weights of the corpus. The voice is the GE2E embedding of real speech, as in the paper."""

    name = "intelligible"
    summary = "Intelligible Lip-to-Speech: lips to speech units and mel, and a vocoder that takes both"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    @classmethod
    def weight_class(cls) -> type[Weights]:
        from baselines.intelligible.weights import Weights

        return Weights

    def synthesizer(self, sampling: Mapping[str, Any]) -> IntelligibleSynthesizer:
        from baselines.intelligible.synthesis import IntelligibleSynthesizer

        return IntelligibleSynthesizer(self._weights, sampling, self.options.device)
