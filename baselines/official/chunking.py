"""Chunks of clips that are short enough for a process, and checks of the speech that it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import pad_or_trim, read_audio
from f2v_bench.nn.layers.overlap_add import cross_fade_windows, windows
from f2v_bench.timing import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERLAP = 10  # frames shared by adjacent chunks


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a clip that a process handles as one utterance.

    Attributes:
        clip: id of the clip.
        name: stem of its files, ``.../<number>``, independent of the clip id.
        first, end: frame range in the clip.
    """

    clip: str
    name: str
    first: int
    end: int

    @property
    def frames(self) -> int:
        return self.end - self.first


def split_frames(clip: str, name: str, frames: int, longest: int) -> list[Chunk]:
    """Split a clip of ``frames`` into chunks ``name/00``, ``name/01``, ..., none longer than ``longest``.

    Adjacent chunks share at least ``OVERLAP`` frames.
    """
    ranges = windows(frames, longest, OVERLAP)
    return [Chunk(clip, f"{name}/{at:02d}", first, end) for at, (first, end) in enumerate(ranges)]


def join_chunks(chunks: Sequence[Chunk], speech: Callable[[Chunk], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the speech of chunks to that of the clip, float32 ``(640 T,)``, cross-faded where they overlap."""
    if len(chunks) == 1:
        return speech(chunks[0])
    at = {SAMPLES_PER_VIDEO_FRAME * chunk.first: chunk for chunk in chunks}
    size = SAMPLES_PER_VIDEO_FRAME * chunks[0].frames
    total = cross_fade_windows(
        SAMPLES_PER_VIDEO_FRAME * chunks[-1].end,
        size,
        SAMPLES_PER_VIDEO_FRAME * OVERLAP,
        lambda first, _: speech(at[first])[:, None],
    )
    return total[:, 0]


def checked_speech(path: Path, frames: int) -> NDArray[np.float32]:
    """Read the output of a process for ``frames`` video frames, float32 ``(640 T,)`` at 16 kHz.

    Up to one missing frame at the end becomes silence; up to one extra frame is cut.

    Raises:
        ClipFailure: as ``read_audio``; ``unreadable_audio`` for another rate; ``duration_mismatch``; ``silent``.
    """
    wave = read_audio(path)
    if wave.sample_rate != SAMPLE_RATE:
        raise ClipFailure(
            FailureKind.UNREADABLE_AUDIO, f"the process wrote {wave.sample_rate} Hz where {SAMPLE_RATE} Hz are expected"
        )
    expected = SAMPLES_PER_VIDEO_FRAME * frames
    if abs(len(wave.samples) - expected) > SAMPLES_PER_VIDEO_FRAME:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH,
            f"the process wrote {len(wave.samples)} samples for {frames} frames, which last {expected}",
        )
    if not wave.samples.any():
        raise ClipFailure(FailureKind.SILENT, f"the process wrote {len(wave.samples)} samples of silence")
    return pad_or_trim(wave.samples, 0, expected)
