"""Base of the adapters of official code: checks before the first clip, one folder per batch, failures per clip."""

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

#: settings of every adapter
SETTINGS = ("python", "conda", "timeout_s", "batch_size")
_SAFE = re.compile(r"[A-Za-z0-9_./-]+")  # these programs hand paths to shells, globs and str.replace
_LOSSLESS = 0  # rate factor of x264
_NAMED = 3  # weight files in the provenance


class OfficialCode(System):
    """System that runs a published repository on batches of clips, in the environment of the user.

    The argument is the folder of the repository. Settings: ``python`` (a program) or ``conda`` (a name) of the
    environment; ``timeout_s`` of one command, 3600; ``batch_size``, clips per start of the process, 64.

    A process that fails halfway keeps its finished clips; each other clip is then tried alone, once. The output of the
    processes is appended to ``log.txt`` in the work folder of the system.
    """

    stages = ("process",)
    settings: ClassVar[tuple[str, ...]] = SETTINGS
    sample_rate = SAMPLE_RATE
    batch_size = 64
    #: address of the published repository
    url: ClassVar[str]
    license: ClassVar[str]
    #: files and folders of the repository whose code decides the output
    parts: ClassVar[tuple[str, ...]]
    #: numeric settings of the process, with the defaults of the repository
    numeric_settings: ClassVar[Mapping[str, float]] = {}
    #: folder names that the path of the work folder must not contain: the code replaces them in paths
    replaced: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self.speaker_reference = resolve_speaker_reference(self.name, options.speaker_reference, self.voices)
        self.repository = Repository(options.argument_folder(self.name).resolve(), self.parts)
        self.environment = Environment.of(self.name, options.settings)
        self.timeout_s = self.number("timeout_s", 3600.0, above=0)
        self.batch_size = max(1, round(self.number("batch_size", self.batch_size, above=0)))
        self.numbers = {name: self.number(name, default) for name, default in self.numeric_settings.items()}
        refuse(self.name, [*missing(self.required_files()), *missing(self.weights()), *self.missing_in_environments()])

    @abstractmethod
    def required_files(self) -> list[Requirement]:
        """Return the code files that the system requires."""

    @abstractmethod
    def weights(self) -> list[Requirement]:
        """Return the weight files that the system requires."""

    @abstractmethod
    def missing_in_environments(self) -> list[MissingRequirement]:
        """Return what the environments lack, and other requirements that are no file of the repository."""

    @abstractmethod
    def prepare(self, clip: Clip, name: str, folder: Path, seed: int) -> list[Chunk]:
        """Write the inputs of a clip, under names that start with ``name``.

        Raises:
            ClipFailure: The process cannot take the clip.
        """

    @abstractmethod
    def run(self, chunks: Sequence[Chunk], folder: Path, seed: int) -> ClipFailure | None:
        """Run the process on prepared chunks; return the failure, or None."""

    @abstractmethod
    def output(self, chunk: Chunk, folder: Path) -> Path:
        """Return the output file of a chunk; it may not exist."""

    def number(self, setting: str, default: float, above: float = -np.inf) -> float:
        """Return a numeric setting.

        Raises:
            F2VError: The value is no number, or not greater than ``above``.
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
        """Return the file of a setting; a relative path starts at the folder of the repository."""
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
        """Run Python; return the failure, or None.

        Args:
            words: script or module, and its arguments.
            folder: folder of the batch.
            cwd: working directory; None is ``folder``.
            python_path: folders to search for modules before the installed ones.
            environment: environment in place of the one of the settings ``python`` or ``conda``.
        """
        chosen = environment or self.environment
        return run_process(
            [*chosen.command, *words],
            cwd=cwd or folder,
            env=chosen.variables(self.options.device, python_path),
            log=(self.options.workdir or folder) / "log.txt",
            timeout_s=self.timeout_s,
        )

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        outcomes = self._attempt(batch, seed)
        stopped = [isinstance(one, ClipFailure) and one.kind is FailureKind.PROCESS_FAILED for one in outcomes]
        works = any(isinstance(one, Waveform) for one in outcomes)
        if works and any(stopped):  # one of the clips stops the process
            return [
                self._attempt([clip], seed)[0] if again else one
                for clip, one, again in zip(batch, outcomes, stopped, strict=True)
            ]
        return outcomes

    def _attempt(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        with self._batch_folder() as folder:
            numbered = [(f"c{at:05d}", clip) for at, clip in enumerate(batch)]
            prepared = per_clip(numbered, lambda pair: self.prepare(pair[1], pair[0], folder, seed))
            ready = [chunk for chunks in prepared if not isinstance(chunks, ClipFailure) for chunk in chunks]
            failure = self.run(ready, folder, seed) if ready else None

            def read_output(chunks: list[Chunk] | ClipFailure) -> Waveform:
                if isinstance(chunks, ClipFailure):
                    raise chunks
                return Waveform(join_chunks(chunks, lambda chunk: self._speech(chunk, folder, failure)), SAMPLE_RATE)

            return per_clip(prepared, read_output)

    def _speech(self, chunk: Chunk, folder: Path, cause: ClipFailure | None) -> NDArray[np.float32]:
        path = self.output(chunk, folder)
        try:
            if path.is_file():
                return checked_speech(path, chunk.frames)
        except ClipFailure as failure:
            raise cause or failure from failure
        raise cause or ClipFailure(FailureKind.FILE_MISSING, f"the process wrote no audio for clip '{chunk.clip}'")

    @contextmanager
    def _batch_folder(self) -> Iterator[Path]:
        """Create a folder with a path that all of these programs accept."""
        homes = [*([self.options.workdir] if self.options.workdir else []), Path(tempfile.gettempdir())]
        for home in (one.resolve() for one in homes):
            if _SAFE.fullmatch(str(home)) and self.replaced.isdisjoint(home.parts):
                home.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix="batch-", dir=home) as folder:
                    yield Path(folder)
                return
        raise F2VError(
            f"'{self.name}' can use none of these folders: {', '.join(map(str, homes))}",
            "choose an output folder with a path of plain letters"
            + (f", and no part called {' or '.join(sorted(self.replaced))}" if self.replaced else ""),
        )

    @cached_property
    def _weights_sha256(self) -> dict[Path, str]:
        return {one.path: file_sha256(one.path) for one in self.weights()}

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{self._basis}:{self.speaker_reference}:{seed}"

    @cached_property
    def _basis(self) -> str:
        """Return what the output of every clip depends on: code, weights and numeric settings."""
        weights = ",".join(digest[:16] for digest in self._weights_sha256.values())
        numbers = ",".join(f"{name}={value:g}" for name, value in self.numbers.items())
        return f"{self.repository.code_sha256()[:16]}:{weights}:{numbers}"

    @property
    def provenance(self) -> str:
        commit = self.repository.commit() or f"an unknown commit, code {self.repository.code_sha256()[:8]}"
        weights = [f"{path.name} ({digest[:8]})" for path, digest in self._weights_sha256.items()]
        more = [f"{len(weights) - _NAMED} files more"] if len(weights) > _NAMED else []
        return (
            f"{self.summary}; {self.url} at {commit}; weights {', '.join([*weights[:_NAMED], *more])}; "
            f"voice: {self.speaker_reference}; license: {self.license}"
        )


def write_lips(path: Path, lips: NDArray[np.uint8]) -> None:
    """Write lip crops, uint8 ``(T, 96, 96)``, as a gray lossless H.264 video at 25 fps."""
    write_video(path, (np.repeat(frame[..., None], 3, axis=2) for frame in lips), crf=_LOSSLESS)
