"""``v2a-mel``: lips and a voice to speech by a decoder that has heard speech before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.systems.contract import SpeakerReference
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from baselines.audio_pretraining.weights import MelWeights
    from f2v_bench.training.synthesis import Synthesizer


class V2AMelSystem(TrainedSystem):
    """V2A-MelSpec with the weights of the corpus. The voice is the GE2E embedding of real speech."""

    name = "v2a-mel"
    summary = "V2A-MelSpec: SVTS with a decoder that was pre-trained on audio"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    @classmethod
    def weight_class(cls) -> type[MelWeights]:
        from baselines.audio_pretraining.weights import MelWeights

        return MelWeights

    def synthesizer(self, sampling: Mapping[str, Any]) -> Synthesizer:
        from f2v_bench.training.synthesis import Synthesizer

        return Synthesizer(self._weights, sampling, self.options.device)
