"""Clips as a process takes them: in pieces that are short enough; and speech as it leaves them, looked at first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import pad_or_trim, read_audio
from f2v_bench.nn.layers.overlap_add import cross_fade_windows, windows
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_PER_VIDEO_FRAME = 640  # of a video frame
OVERLAP = 10  # frames that neighbouring pieces share


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a clip that a process sees as one utterance.

    Attributes:
        clip: id of the clip.
        name: of its files, ``.../<number>``, whatever letters the clip's id has.
        first, end: frames of the clip.
    """

    clip: str
    name: str
    first: int
    end: int

    @property
    def frames(self) -> int:
        return self.end - self.first


def split_frames(clip: str, name: str, frames: int, longest: int) -> list[Chunk]:
    """Pieces ``name/00``, ``name/01``, ... of a clip of ``frames``, none longer than ``longest``.

    Neighbours share at least ``OVERLAP`` frames.
    """
    places = windows(frames, longest, OVERLAP)
    return [Chunk(clip, f"{name}/{at:02d}", first, end) for at, (first, end) in enumerate(places)]


def join_chunks(pieces: Sequence[Chunk], speech: Callable[[Chunk], NDArray[np.float32]]) -> NDArray[np.float32]:
    """The speech of a clip, float32 ``(640 T,)``, from that of its pieces, faded where they overlap."""
    if len(pieces) == 1:
        return speech(pieces[0])
    at = {SAMPLES_PER_VIDEO_FRAME * piece.first: piece for piece in pieces}
    size = SAMPLES_PER_VIDEO_FRAME * pieces[0].frames
    total = cross_fade_windows(
        SAMPLES_PER_VIDEO_FRAME * pieces[-1].end,
        size,
        SAMPLES_PER_VIDEO_FRAME * OVERLAP,
        lambda first, _: speech(at[first])[:, None],
    )
    return total[:, 0]


def checked_speech(path: Path, frames: int) -> NDArray[np.float32]:
    """What a process wrote for ``frames`` video frames, float32 ``(640 T,)`` at 16 kHz.

    Up to a frame that is missing at the end is silence, up to one too much is cut.

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
