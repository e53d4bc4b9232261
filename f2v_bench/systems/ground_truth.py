"""System that returns the real audio of each clip: the first row of every table."""

from __future__ import annotations

from collections.abc import Sequence

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure
from f2v_bench.media import clip_audio
from f2v_bench.systems.base import SpeakerReference, System, per_clip
from f2v_bench.timing import SAMPLE_RATE


class GroundTruth(System):
    """Real speech of the clip on the clock of its video, at 16 kHz."""

    name = "ground-truth"
    summary = "real audio of the clip"
    speaker_reference = SpeakerReference.SAME_CLIP
    is_reference = True
    stages = ("decode",)
    sample_rate = SAMPLE_RATE

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        return per_clip(batch, lambda clip: clip_audio(clip, SAMPLE_RATE))

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return self.name  # independent of the seed
