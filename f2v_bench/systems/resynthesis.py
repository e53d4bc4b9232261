"""Analysis and synthesis of the real audio: the upper bound of systems that predict the suite's mel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure
from f2v_bench.media import clip_audio
from f2v_bench.signal.griffin_lim import NAME as VOCODER
from f2v_bench.signal.griffin_lim import griffin_lim
from f2v_bench.signal.mel import log_mel
from f2v_bench.systems.base import SpeakerReference, System, clip_generator, per_clip
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Resynthesis(System):
    """Mel spectrogram of the real audio through a vocoder, here Griffin-Lim."""

    name = "resynthesis"
    summary = f"mel of the real audio through {VOCODER}"
    speaker_reference = SpeakerReference.SAME_CLIP
    is_reference = True
    stages = ("decode", "mel", "vocoder")
    sample_rate = SAMPLE_RATE

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        return per_clip(batch, lambda clip: self._resynthesize(clip, seed))

    def _resynthesize(self, clip: Clip, seed: int) -> Waveform:
        mel = log_mel(clip_audio(clip, SAMPLE_RATE).samples, SAMPLE_RATE)
        return Waveform(self.vocode(mel, clip_generator(seed, clip.id)), SAMPLE_RATE)

    def vocode(self, mel: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Convert a log mel ``(T, 80)`` to samples ``(160 T,)``; ``rng`` is the generator of the clip."""
        return griffin_lim(mel, rng)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{VOCODER}:{seed}"
