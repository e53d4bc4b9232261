"""What a system is: it turns silent clips into waveforms."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, suggest

if TYPE_CHECKING:
    import numpy as np

    from f2v_bench.face.crops import FaceCrops


T = TypeVar("T")
R = TypeVar("R")


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
        clips: every clip of the split, whatever ``--limit`` says: what ``shuffled`` draws from.
        argument: what follows the colon in ``--model NAME:ARGUMENT``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        workdir: a folder of the system's own, kept between resumes.
        dataset: name of the corpus, by which systems choose their weights; None outside a corpus.
        weights: name or file of the weights to use instead.
        speaker_reference: where the voice is to come from, for systems that have a choice.
        landmarks: file or folder of precomputed landmarks, as ``face_crops`` takes it.
        settings: of the system's own, name to text.
    """

    clips: Sequence[Clip] = field(default_factory=tuple)
    argument: str | None = None
    device: str = "cpu"
    workdir: Path | None = None
    dataset: str | None = None
    weights: str | None = None
    speaker_reference: str | None = None
    landmarks: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def argument_folder(self, name: str) -> Path:
        """The argument as a folder.

        Raises:
            F2VError: no argument, or no such folder.
        """
        if not self.argument:
            raise F2VError(f"the system '{name}' needs a folder", f"write --model {name}:FOLDER")
        folder = Path(self.argument).expanduser()
        if not folder.is_dir():
            raise F2VError(f"'{self.argument}' is not a folder", f"--model {name}:FOLDER takes a folder")
        return folder


class System(ABC):
    """Silent clips in, waveforms out. Systems are equal in rank: a network, the real audio, a folder of WAVs.

    The constructor takes SystemOptions, checks what the system needs and raises F2VError where it is missing;
    nothing heavy is loaded before the first ``synthesize``.
    """

    name: ClassVar[str]
    #: one line for tables and help
    summary: ClassVar[str]
    speaker_reference: SpeakerReference
    #: whether it plays real speech, as it is or changed: shown, but no rival of systems that make it from video
    anchor: ClassVar[bool] = False
    #: names of the parts whose time is measured apart
    stages: ClassVar[tuple[str, ...]]
    #: whether it looks at face crops; a clip without a usable face then fails
    needs_faces: ClassVar[bool] = False
    #: where it can take the voice from, its habit first; empty where it has no choice
    voices: ClassVar[tuple[SpeakerReference, ...]] = ()
    #: names of the settings it takes
    settings: ClassVar[tuple[str, ...]] = ()
    #: how many clips one call to ``synthesize`` should be given
    batch_size: int = 1
    #: the rate of every waveform, or None where each file brings its own
    sample_rate: int | None

    def __init__(self, options: SystemOptions) -> None:
        for name in options.settings:
            if name not in self.settings:
                raise F2VError(f"the system '{self.name}' has no setting '{name}'", suggest(name, self.settings))
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


class FaceSystem(System):
    """A system that speaks for face crops, of a corpus's clips or of any video."""

    needs_faces = True

    @abstractmethod
    def synthesize_crops(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        """The speech of faces, each as long as its frames: 640 samples of 16 kHz, or as much of another rate.

        Args:
            crops: of each video, of any length.
            names: of each video; with the seed they decide what is drawn.
            seed: of the run.
        """

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        """The speech of a corpus's clips; systems that take the voice from somewhere else find it here."""
        return list(self.synthesize_crops(crops, [clip.id for clip in clips], seed))

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        from f2v_bench.face.crops import face_crops

        found = per_clip(batch, lambda clip: face_crops(clip.video, landmarks=self.options.landmarks))
        seen = [(clip, one) for clip, one in zip(batch, found, strict=True) if not isinstance(one, ClipFailure)]
        made = iter(self.synthesize_clips([clip for clip, _ in seen], [one for _, one in seen], seed) if seen else [])
        return [one if isinstance(one, ClipFailure) else next(made) for one in found]


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """A random generator that depends on the seed and the clip alone."""
    import numpy as np

    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def per_clip(batch: Iterable[T], make: Callable[[T], R]) -> list[R | ClipFailure]:
    """Make of each clip what there is to make; a failed one takes its place in the list and leaves the others alone."""
    outcomes: list[R | ClipFailure] = []
    for one in batch:
        try:
            outcomes.append(make(one))
        except ClipFailure as failure:
            outcomes.append(failure.with_traceback(None))  # a traceback would keep the frames' memory alive
    return outcomes
