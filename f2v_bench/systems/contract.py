"""What a system is: it turns silent clips into waveforms."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure

if TYPE_CHECKING:
    import numpy as np


class SpeakerReference(StrEnum):
    """Where a system knows the voice from. Leaks are declared here, and printed beside every number."""

    FACE = "face"
    SAME_CLIP = "same-clip"
    OTHER_CLIP = "other-clip"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SystemOptions:
    """What a command line and the dataset say to a system.

    Attributes:
        clips: every clip of the run, in order: what ``shuffled`` draws from and an external process is given.
        argument: what follows the colon in ``--model NAME:ARGUMENT``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        workdir: a folder of the system's own, kept between resumes.
    """

    clips: Sequence[Clip] = field(default_factory=tuple)
    argument: str | None = None
    device: str = "cpu"
    workdir: Path | None = None


class System(ABC):
    """Silent clips in, waveforms out. Systems are equal in rank: a network, the real audio, a folder of WAVs.

    The constructor takes SystemOptions, checks what the system needs and raises F2VError where it is missing;
    nothing heavy is loaded before the first ``synthesize``.
    """

    name: ClassVar[str]
    #: one line for tables and help
    summary: ClassVar[str]
    speaker_reference: ClassVar[SpeakerReference]
    #: names of the parts whose time is measured apart
    stages: ClassVar[tuple[str, ...]]
    #: how many clips one call to ``synthesize`` should be given
    batch_size: int = 1
    sample_rate: int

    def __init__(self, options: SystemOptions) -> None:
        self.options = options

    @abstractmethod
    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        """One waveform at ``sample_rate``, or the reason why there is none, for each clip, in order.

        A clip's output depends on the clip and the seed alone, never on its batch: draw randomness from
        ``clip_generator(seed, clip.id)``.
        """

    def fingerprint(self, clip: Clip, seed: int) -> str:
        """What this clip's output depends on; a resumed run keeps audio only while it is unchanged.

        The default is the system's name, argument and seed. Systems with weights add their hash, a folder of
        WAVs the hash of the file.
        """
        return f"{self.name}:{self.options.argument or ''}:{seed}"

    @property
    def provenance(self) -> str:
        """Weights and training data, or where the audio came from: printed beside every number."""
        return self.summary


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """A random generator that depends on the seed and the clip alone."""
    import numpy as np

    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def capture(outcomes: list[Waveform | ClipFailure], failure: ClipFailure) -> None:
    """Append a failure that was caught, without the frames that its traceback keeps alive."""
    outcomes.append(failure.with_traceback(None))
