"""``v2a-mel`` and ``v2a-wave``: lips and a voice to speech by a decoder that has heard speech before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.systems.contract import SpeakerReference
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from baselines.audio_pretraining.synthesis import WaveSynthesizer
    from baselines.audio_pretraining.weights import MelWeights, WaveWeights
    from f2v_bench.systems.contract import SystemOptions
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


class V2AWaveSystem(TrainedSystem):
    """V2A-WaveGAN with the weights of the corpus, and their sample rate."""

    name = "v2a-wave"
    summary = "V2A-WaveGAN: lips and a speaker embedding straight to samples, by a decoder pre-trained on audio"
    stages = ("lips", "decoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.sample_rate = self._weights.config.rate

    @classmethod
    def weight_class(cls) -> type[WaveWeights]:
        from baselines.audio_pretraining.weights import WaveWeights

        return WaveWeights

    def synthesizer(self, sampling: Mapping[str, Any]) -> WaveSynthesizer:
        from baselines.audio_pretraining.synthesis import WaveSynthesizer

        return WaveSynthesizer(self._weights, sampling, self.options.device)
