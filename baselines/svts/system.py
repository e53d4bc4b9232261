"""``svts``: lips and a voice to speech by the Conformer of SVTS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.systems.contract import SpeakerReference
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from baselines.svts.weights import Weights
    from f2v_bench.training.synthesis import Synthesizer


class SVTSSystem(TrainedSystem):
    """SVTS with the weights of the corpus. The voice is the GE2E embedding of real speech, as in the paper."""

    name = "svts"
    summary = "SVTS: lips and a speaker embedding straight to mel, by a Conformer"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    @classmethod
    def weight_class(cls) -> type[Weights]:
        from baselines.svts.weights import Weights

        return Weights

    def synthesizer(self, sampling: Mapping[str, Any]) -> Synthesizer:
        from f2v_bench.training.synthesis import Synthesizer

        return Synthesizer(self._weights, sampling, self.options.device)
