"""``svts``: lips and a voice to speech by the Conformer of SVTS."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from f2v_bench.assets import file_sha256, get_asset, require_asset
from f2v_bench.clip import Clip
from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference, SystemOptions

if TYPE_CHECKING:
    from baselines.svts.spec import Weights
    from f2v_bench.modeling.synthesizer import Synthesizer


class SVTSSystem(NeuralSystem):
    """SVTS with the weights of the corpus. The voice is the GE2E embedding of real speech, as in the paper.

    Weights of the published form speak at 24 kHz.

    Raises:
        AssetMissing: they do, and Parallel WaveGAN is not on this machine.
        F2VError: its archive cannot be read here.
    """

    name = "svts"
    summary = "SVTS: lips and a speaker embedding straight to mel, by a Conformer"
    stages = ("lips", "decoder", "vocoder")
    voices = (SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)
    _weights: Weights

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self._published = self._weights.config.form == "pwg"
        if self._published:
            from baselines.svts.native_24khz import VOCODER
            from f2v_bench.nn.vocoders.parallel_wavegan_checkpoint import check_archive
            from f2v_bench.signal.mel_24k import SAMPLE_RATE

            self.sample_rate = SAMPLE_RATE
            self._archive = require_asset(VOCODER)
            check_archive(self._archive, get_asset(VOCODER).instructions)

    @classmethod
    def checkpoint_class(cls) -> type[Weights]:
        from baselines.svts.spec import Weights

        return Weights

    def synthesizer(self, sampling: Mapping[str, Any]) -> Synthesizer:
        from f2v_bench.modeling.synthesizer import Synthesizer

        if self._published:
            from baselines.svts.synthesis import Native24kHzSynthesizer

            return Native24kHzSynthesizer(self._weights, sampling, self.options.device, self._archive)
        return Synthesizer(self._weights, sampling, self.options.device)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        vocoder = f":{self._vocoder_sha256[:16]}" if self._published else ""
        return super().fingerprint(clip, seed) + vocoder

    @cached_property
    def _vocoder_sha256(self) -> str:
        return file_sha256(self._archive)
