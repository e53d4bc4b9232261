"""Records shared by all packages: a clip of a talking face, and a waveform."""

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


@dataclass(frozen=True, slots=True)
class Clip:
    """One talking-face clip of a dataset.

    Attributes:
        id: path-like name, unique in its dataset: ``speaker/utterance``.
        speaker: speaker or talk; its clips are one cluster in the statistics.
        video: video file.
        audio: file with the real speech (the video file where it has an audio track), or None.
        text: transcript as the corpus writes it, or None.
        split: ``train``, ``val``, ``test`` or the corpus's own name.
        duration_s: length in seconds, where the corpus states it.
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
        samples: waveform, float32 ``(n,)``, nominally in [-1, 1].
        sample_rate: sample rate in Hz.
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
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    @cached_property
    def sha256(self) -> str:
        """Content hash of samples and sample rate."""
        prefix = f"{self.sample_rate}:".encode()
        return hashlib.sha256(prefix + self.samples.astype("<f4").tobytes()).hexdigest()

    def validate(self, name: str) -> Waveform:
        """Return this waveform if it has samples and all are finite.

        Args:
            name: description of the waveform for the error message.

        Raises:
            ClipFailure: ``empty_audio`` or ``not_finite``.
        """
        import numpy as np

        if not len(self.samples):
            raise ClipFailure(FailureKind.EMPTY_AUDIO, f"{name} has no samples")
        invalid = ~np.isfinite(self.samples)
        if invalid.any():
            raise ClipFailure(FailureKind.NOT_FINITE, f"{name} has {int(invalid.sum())} NaN or infinite samples")
        return self
