"""The records that every room speaks: a clip of a talking face, and a waveform."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import ClipFailure, FailureKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FPS = 25  # video frames per second inside the suite; media resamples everything else


@dataclass(frozen=True, slots=True)
class Clip:
    """One talking-face clip of a dataset.

    Attributes:
        id: unique in its dataset and path-like, ``speaker/utterance``.
        speaker: who talks; clips of one speaker (or talk) are one cluster in the statistics.
        video: the video file.
        audio: the file with the real speech, the video file itself where it carries the track, or None.
        text: the transcript, as the corpus writes it, or None.
        split: ``train``, ``val``, ``test`` or the corpus's own name.
        duration_s: length in seconds where the corpus states it.
    """

    id: str
    speaker: str
    video: Path
    audio: Path | None
    text: str | None
    split: str
    duration_s: float | None = None


@dataclass(frozen=True)
class Waveform:
    """Mono speech.

    Attributes:
        samples: float32 ``(n,)``, nominally in [-1, 1].
        sample_rate: samples a second.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != "float32":
            raise ValueError(f"samples must be float32 (n,), got {self.samples.dtype} {self.samples.shape}")
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, got {self.sample_rate}")

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    @cached_property
    def sha256(self) -> str:
        """Content hash: equal samples at an equal rate, equal hash."""
        head = f"{self.sample_rate}:".encode()
        return hashlib.sha256(head + self.samples.astype("<f4").tobytes()).hexdigest()

    def validate(self, name: str) -> Waveform:
        """This waveform, or a ClipFailure ``empty_audio`` or ``not_finite`` that names ``name``."""
        import numpy as np

        if not len(self.samples):
            raise ClipFailure(FailureKind.EMPTY_AUDIO, f"{name} has no samples")
        bad = ~np.isfinite(self.samples)
        if bad.any():
            raise ClipFailure(FailureKind.NOT_FINITE, f"{name} has {int(bad.sum())} NaN or infinite samples")
        return self
