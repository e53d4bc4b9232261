"""``intelligible``: lips to speech units and mel, and both with a voice to speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.intelligible.spec import Weights
    from baselines.intelligible.synthesis import IntelligibleSynthesizer


class IntelligibleSystem(NeuralSystem):
    """Intelligible with the weights of the corpus. The voice is the GE2E embedding of real speech, as in the paper."""

    name = "intelligible"
    summary = "Intelligible Lip-to-Speech: lips to speech units and mel, and a vocoder that takes both"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    @classmethod
    def checkpoint_class(cls) -> type[Weights]:
        from baselines.intelligible.spec import Weights

        return Weights

    def synthesizer(self, sampling: Mapping[str, Any]) -> IntelligibleSynthesizer:
        from baselines.intelligible.synthesis import IntelligibleSynthesizer

        return IntelligibleSynthesizer(self._weights, sampling, self.options.device)
