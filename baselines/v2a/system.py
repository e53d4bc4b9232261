"""``v2a-mel`` and ``v2a-wave``: lips and a voice to speech by a decoder that has heard speech before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.v2a.spec import MelWeights, WaveWeights
    from baselines.v2a.synthesis import WaveSynthesizer
    from f2v_bench.modeling.synthesizer import Synthesizer
    from f2v_bench.systems.base import SystemOptions


class V2AMelSystem(NeuralSystem):
    """V2A-MelSpec with the weights of the corpus. The voice is the GE2E embedding of real speech."""

    name = "v2a-mel"
    summary = "V2A-MelSpec: SVTS with a decoder that was pre-trained on audio"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    @classmethod
    def checkpoint_class(cls) -> type[MelWeights]:
        from baselines.v2a.spec import MelWeights

        return MelWeights

    def synthesizer(self, sampling: Mapping[str, Any]) -> Synthesizer:
        from f2v_bench.modeling.synthesizer import Synthesizer

        return Synthesizer(self._weights, sampling, self.options.device)


class V2AWaveSystem(NeuralSystem):
    """V2A-WaveGAN with the weights of the corpus, and their sample rate."""

    name = "v2a-wave"
    summary = "V2A-WaveGAN: lips and a speaker embedding straight to samples, by a decoder pre-trained on audio"
    stages = ("lips", "decoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.sample_rate = self._weights.config.rate

    @classmethod
    def checkpoint_class(cls) -> type[WaveWeights]:
        from baselines.v2a.spec import WaveWeights

        return WaveWeights

    def synthesizer(self, sampling: Mapping[str, Any]) -> WaveSynthesizer:
        from baselines.v2a.synthesis import WaveSynthesizer

        return WaveSynthesizer(self._weights, sampling, self.options.device)
