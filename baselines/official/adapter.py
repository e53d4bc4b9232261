"""What the adapters share: checks before the first clip, a folder a batch, and clips that fail alone."""

from __future__ import annotations

import re
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from baselines.official.chunking import Chunk, checked_speech, join_chunks
from baselines.official.environment import Environment
from baselines.official.repository import Repository
from baselines.official.requirements import MissingRequirement, Requirement, missing, refuse
from f2v_bench.assets import file_sha256
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import write_video
from f2v_bench.systems.base import System, SystemOptions, per_clip
from f2v_bench.systems.speaker_reference import resolve_speaker_reference
from f2v_bench.timing import SAMPLE_RATE
from f2v_bench.utils.subprocess import run_process

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: of every adapter
SETTINGS = ("python", "conda", "timeout_s", "batch_size")
_SAFE = re.compile(r"[A-Za-z0-9_./-]+")  # these programs hand paths to shells, globs and str.replace
_LOSSLESS = 0  # x264's rate factor
_TOLD = 3  # weight files that the provenance names


class OfficialCode(System):
    """A published repository that speaks for a batch of clips at a time, in the user's own environment.

    The argument is the repository's folder. Settings: ``python`` (a program) or ``conda`` (a name) of the environment;
    ``timeout_s`` of one command, 3600; ``batch_size``, clips that one start of the process sees, 64.

    A process that fails half-way leaves the clips that it did finish; each of the others is then tried alone, once.
    What the processes print is added to ``log.txt`` in the system's work folder.
    """

    stages = ("process",)
    settings: ClassVar[tuple[str, ...]] = SETTINGS
    sample_rate = SAMPLE_RATE
    batch_size = 64
    #: where the repository is published
    url: ClassVar[str]
    license: ClassVar[str]
    #: files and folders of the repository whose code decides what is said
    parts: ClassVar[tuple[str, ...]]
    #: settings that are numbers the process is told, with the repository's own
    spoken: ClassVar[Mapping[str, float]] = {}
    #: names of folders that its work folder must not lie in: its code replaces them in paths
    replaced: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.speaker_reference = resolve_speaker_reference(self.name, options.speaker_reference, self.voices)
        self.repository = Repository(options.argument_folder(self.name).resolve(), self.parts)
        self.environment = Environment.of(self.name, options.settings)
        self.timeout_s = self.number("timeout_s", 3600.0, above=0)
        self.batch_size = max(1, round(self.number("batch_size", self.batch_size, above=0)))
        self.spoken_values = {name: self.number(name, default) for name, default in self.spoken.items()}
        refuse(self.name, [*missing(self.needed()), *missing(self.weights()), *self.other_lacks()])

    @abstractmethod
    def needed(self) -> list[Requirement]:
        """Code of the repository, or beside it, without which nothing runs."""

    @abstractmethod
    def weights(self) -> list[Requirement]:
        """The weight files."""

    @abstractmethod
    def other_lacks(self) -> list[MissingRequirement]:
        """What the environments lack, and whatever else is no file of the repository."""

    @abstractmethod
    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        """Write what the process reads of a clip, under names that begin with ``name``.

        Raises:
            ClipFailure: the clip cannot be given to the process.
        """

    @abstractmethod
    def run(self, pieces: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        """Run the process for pieces that are prepared; what went wrong, if anything did."""

    @abstractmethod
    def output(self, piece: Chunk, folder: Path) -> Path:
        """Where the process writes the speech of a piece; the file need not be there."""

    def number(self, setting: str, default: float, above: float = -np.inf) -> float:
        """A setting's number.

        Raises:
            F2VError: no number, or one that is not greater than ``above``.
        """
        text = self.options.settings.get(setting)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = np.nan
        if not above < value < np.inf:
            raise F2VError(
                f"'{self.name}': '{setting}' is {text!r}, not a number{f' above {above:g}' if above > -np.inf else ''}",
                f"leave it out for {default:g}",
            )
        return value

    def file(self, setting: str, default: str) -> Path:
        """The file that a setting names, from the repository's folder on where it is not absolute."""
        return self.repository.folder / Path(self.options.settings.get(setting, default)).expanduser()

    def call(
        self,
        words: Sequence[str],
        folder: Path,
        *,
        cwd: Path | None = None,
        python_path: Sequence[Path] = (),
        environment: Environment | None = None,
    ) -> ClipFailure | None:
        """Run Python; what went wrong, if anything did.

        Args:
            words: script or module, and arguments.
            folder: of the batch.
            cwd: where it runs; None: there.
            python_path: folders that are searched for modules before the installed ones.
            environment: another one than the settings ``python`` or ``conda`` say.
        """
        place = environment or self.environment
        return run_process(
            [*place.command, *words],
            cwd=cwd or folder,
            env=place.variables(self.options.device, python_path),
            log=(self.options.workdir or folder) / "log.txt",
            timeout_s=self.timeout_s,
        )

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        outcomes = self._attempt(batch, seed)
        stopped = [isinstance(one, ClipFailure) and one.kind is FailureKind.PROCESS_FAILED for one in outcomes]
        works = any(isinstance(one, Waveform) for one in outcomes)
        if works and any(stopped):  # some clip is what it cannot take
            return [
                self._attempt([clip], seed)[0] if again else one
                for clip, one, again in zip(batch, outcomes, stopped, strict=True)
            ]
        return outcomes

    def _attempt(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        with self._batch_folder() as folder:
            numbered = [(f"c{at:05d}", clip) for at, clip in enumerate(batch)]
            cuts = per_clip(numbered, lambda pair: self.prepare(pair[1], pair[0], folder, seed))
            ready = [piece for pieces in cuts if not isinstance(pieces, ClipFailure) for piece in pieces]
            trouble = self.run(ready, folder, seed) if ready else None

            def said(pieces: list[Chunk] | ClipFailure) -> Waveform:
                if isinstance(pieces, ClipFailure):
                    raise pieces
                return Waveform(join_chunks(pieces, lambda piece: self._speech(piece, folder, trouble)), SAMPLE_RATE)

            return per_clip(cuts, said)

    def _speech(self, piece: Chunk, folder: Path, trouble: ClipFailure | None) -> NDArray[np.float32]:
        path = self.output(piece, folder)
        try:
            if path.is_file():
                return checked_speech(path, piece.frames)
        except ClipFailure as failure:
            raise trouble or failure from failure
        raise trouble or ClipFailure(FailureKind.FILE_MISSING, f"the process wrote no audio for clip '{piece.clip}'")

    @contextmanager
    def _batch_folder(self) -> Iterator[Path]:
        """A new folder whose path every one of these programs can take."""
        homes = [*([self.options.workdir] if self.options.workdir else []), Path(tempfile.gettempdir())]
        for home in (one.resolve() for one in homes):
            if _SAFE.fullmatch(str(home)) and self.replaced.isdisjoint(home.parts):
                home.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix="batch-", dir=home) as folder:
                    yield Path(folder)
                return
        raise F2VError(
            f"'{self.name}' can work in none of these folders: {', '.join(map(str, homes))}",
            "choose an output folder whose path has plain letters alone"
            + (f", and no part called {' or '.join(sorted(self.replaced))}" if self.replaced else ""),
        )

    @cached_property
    def _weights_sha256(self) -> dict[Path, str]:
        return {one.path: file_sha256(one.path) for one in self.weights()}

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{self._basis}:{self.speaker_reference}:{seed}"

    @cached_property
    def _basis(self) -> str:
        """What every clip's output depends on: code, weights, and the numbers that the process is told."""
        weights = ",".join(digest[:16] for digest in self._weights_sha256.values())
        numbers = ",".join(f"{name}={value:g}" for name, value in self.spoken_values.items())
        return f"{self.repository.code_sha256()[:16]}:{weights}:{numbers}"

    @property
    def provenance(self) -> str:
        commit = self.repository.commit() or f"an unknown commit, code {self.repository.code_sha256()[:8]}"
        weights = [f"{path.name} ({digest[:8]})" for path, digest in self._weights_sha256.items()]
        more = [f"{len(weights) - _TOLD} files more"] if len(weights) > _TOLD else []
        return (
            f"{self.summary}; {self.url} at {commit}; weights {', '.join([*weights[:_TOLD], *more])}; "
            f"voice: {self.speaker_reference}; licence: {self.license}"
        )


def write_lips(path: Path, lips: NDArray[np.uint8]) -> None:
    """Lip crops uint8 ``(T, 96, 96)`` as a grey H.264 video at 25 fps, coded without loss."""
    write_video(path, (np.repeat(frame[..., None], 3, axis=2) for frame in lips), crf=_LOSSLESS)
