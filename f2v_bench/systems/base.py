"""Base classes of systems, which turn silent clips into waveforms."""

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

    from f2v_bench.face.records import FaceCrops


T = TypeVar("T")
R = TypeVar("R")


class SpeakerReference(StrEnum):
    """Source of the speaker identity. Leaks are declared here and printed beside every number."""

    FACE = "face"
    SAME_CLIP = "same-clip"
    OTHER_CLIP = "other-clip"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SystemOptions:
    """Options of a system, from the command line and the dataset.

    Attributes:
        clips: all clips of the split, regardless of ``--limit``: the pool of ``shuffled`` and of reference clips.
        argument: text after the colon in ``--model NAME:ARGUMENT``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        workdir: folder for the system alone, kept between resumes.
        dataset: name of the corpus, which selects the weights; None outside a corpus.
        weights: name or file of other weights.
        speaker_reference: requested source of the speaker identity, for systems that have a choice.
        landmarks: file or folder of precomputed landmarks, as in ``face_crops``.
        settings: texts of the system's settings by name.
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
        """Return the argument as a folder.

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
    """Converter of silent clips to waveforms: a network, the real audio, or a folder of WAVs, equal in rank.

    The constructor takes SystemOptions, checks all requirements and raises F2VError where one is missing. Nothing heavy
    is loaded before the first ``synthesize``.
    """

    name: ClassVar[str]
    #: one line for tables and help
    summary: ClassVar[str]
    speaker_reference: SpeakerReference
    #: whether it plays real speech, original or processed: a reference row of tables, which is never ranked
    is_reference: ClassVar[bool] = False
    #: names of the stages whose time is measured separately
    stages: ClassVar[tuple[str, ...]]
    #: whether it takes face crops as input; a clip without a usable face then fails
    needs_faces: ClassVar[bool] = False
    #: supported sources of the speaker identity, the default first; empty where there is no choice
    voices: ClassVar[tuple[SpeakerReference, ...]] = ()
    #: names of its settings
    settings: ClassVar[tuple[str, ...]] = ()
    #: preferred number of clips per call of ``synthesize``
    batch_size: int = 1
    #: sample rate of every waveform in Hz, or None where each file has its own
    sample_rate: int | None

    def __init__(self, options: SystemOptions) -> None:
        for name in options.settings:
            if name not in self.settings:
                raise F2VError(f"the system '{self.name}' has no setting '{name}'", suggest(name, self.settings))
        self.options = options

    @abstractmethod
    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        """Return one waveform at ``sample_rate``, or the failure, for each clip, in order.

        The output of a clip depends on the clip and the seed alone, never on its batch: draw randomness from
        ``clip_generator(seed, clip.id)``.
        """

    def fingerprint(self, clip: Clip, seed: int) -> str:
        """Return a text of everything that determines the output of a clip.

        A resumed run keeps audio only while the text is unchanged. The default is the system's name, argument and seed.
        Systems with weights add their hash, a folder of WAVs adds the hash of the file.
        """
        return f"{self.name}:{self.options.argument or ''}:{seed}"

    @property
    def provenance(self) -> str:
        """Weights and training data, or the origin of the audio: printed beside every number."""
        return self.summary


class FaceSystem(System):
    """System that synthesizes speech from face crops, of the clips of a corpus or of any video."""

    needs_faces = True

    @abstractmethod
    def synthesize_crops(self, crops: Sequence[FaceCrops], names: Sequence[str], seed: int) -> list[Waveform]:
        """Return the speech of face crops, 40 ms per frame: 640 samples at 16 kHz.

        Args:
            crops: face crops, one per video, of any length.
            names: names of the videos, which seed the random generator together with ``seed``.
            seed: seed of the run.
        """

    def synthesize_clips(
        self, clips: Sequence[Clip], crops: Sequence[FaceCrops], seed: int
    ) -> list[Waveform | ClipFailure]:
        """Return the speech of the clips of a corpus; overridden where the speaker identity has another source."""
        return list(self.synthesize_crops(crops, [clip.id for clip in clips], seed))

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        from f2v_bench.face.crops import face_crops

        crops = per_clip(batch, lambda clip: face_crops(clip.video, landmarks=self.options.landmarks))
        valid = [(clip, one) for clip, one in zip(batch, crops, strict=True) if not isinstance(one, ClipFailure)]
        outcomes = self.synthesize_clips([clip for clip, _ in valid], [one for _, one in valid], seed) if valid else []
        rest = iter(outcomes)
        return [one if isinstance(one, ClipFailure) else next(rest) for one in crops]


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """Return a random generator that depends on the seed and the clip alone."""
    import numpy as np

    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def per_clip(batch: Iterable[T], process: Callable[[T], R]) -> list[R | ClipFailure]:
    """Process each clip alone. A failure takes the place of its result and does not affect the other clips."""
    outcomes: list[R | ClipFailure] = []
    for one in batch:
        try:
            outcomes.append(process(one))
        except ClipFailure as failure:
            outcomes.append(failure.with_traceback(None))  # a traceback keeps the frames in memory
    return outcomes
