"""System of another repository and environment, run as a process.

The user describes the process in a TOML file and passes ``--model external:FILE``::

    command = ["conda", "run", "-n", "lip", "python", "infer.py", "--in", "{input}", "--out", "{output}"]
    cwd = "~/src/their-repository"          # working directory; default: the folder of this file
    requires = ["checkpoints/model.pt"]     # files that must exist before the start, relative to cwd
    timeout_s = 3600                        # per batch
    batch_size = 64
    speaker_reference = "face"              # face, same-clip, other-clip or none
    description = "their model, weights of 2024-05"

    [env]                                   # added to the environment
    CUDA_VISIBLE_DEVICES = "0"

For every batch the suite makes a new folder with **silent** copies of the videos (``{input}/<clip id>.mp4``) and a list
of their ids (``{list}``, one per line). It runs the command and collects audio files from ``{output}``, matched as by
``precomputed``. ``{seed}`` and ``{device}`` are filled in, too. A process that fails or times out fails only the clips
that it did not finish.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest
from f2v_bench.media import copy_silent, read_audio
from f2v_bench.systems.base import SpeakerReference, System, SystemOptions
from f2v_bench.systems.precomputed import match_files
from f2v_bench.utils.subprocess import run_process

_PLACEHOLDERS = ("input", "output", "list", "seed", "device")


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """Content of the TOML file; see the docstring of the module."""

    command: list[str]
    cwd: str = "."
    requires: list[str] = field(default_factory=list)
    timeout_s: float = 3600.0
    batch_size: int = 64
    speaker_reference: str = "none"
    description: str = ""
    env: dict[str, str] = field(default_factory=dict)


class External(System):
    """Official or private repository, run in the user's own environment."""

    name = "external"
    summary = "a process described by a TOML file"
    stages = ("process",)
    sample_rate = None

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        if not options.argument:
            raise F2VError("the system 'external' needs a description", "write --model external:FILE.toml")
        self.file = Path(options.argument).expanduser()
        self.config = read_config(self.file)
        self.batch_size = self.config.batch_size
        self.speaker_reference = SpeakerReference(self.config.speaker_reference)
        self.cwd = (self.file.parent / Path(self.config.cwd).expanduser()).resolve()
        self._check_requirements()

    @property
    def provenance(self) -> str:
        return self.config.description or f"process described by {self.file.name}"

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]}:{seed}"

    def _check_requirements(self) -> None:
        """Raise before the first clip for everything that is missing."""
        if not self.cwd.is_dir():
            raise F2VError(f"{self.file}: cwd '{self.cwd}' is not a folder", "name the repository's folder")
        missing = [name for name in self.config.requires if not (self.cwd / name).exists()]
        if missing:
            raise F2VError(
                f"{self.file}: required files are missing below '{self.cwd}': {', '.join(missing)}",
                "get the weights from the system's authors, or correct 'requires'",
            )
        program = self.config.command[0]
        if not (shutil.which(program) or (self.cwd / program).is_file()):
            raise F2VError(f"{self.file}: there is no program '{program}'", "correct 'command', or install it")

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        home = self.options.workdir or Path(tempfile.gettempdir())
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="batch-", dir=home) as folder:
            return self._run(batch, seed, Path(folder))

    def _run(self, batch: Sequence[Clip], seed: int, folder: Path) -> list[Waveform | ClipFailure]:
        failed: dict[str, ClipFailure] = {}
        for clip in batch:
            try:
                copy_silent(clip.video, folder / "input" / f"{clip.id}.mp4")
            except ClipFailure as failure:
                failed[clip.id] = failure
        ready = [clip.id for clip in batch if clip.id not in failed]
        (folder / "output").mkdir()
        (folder / "list.txt").write_text("".join(f"{clip_id}\n" for clip_id in ready), encoding="utf-8")
        process_failure = self._run_command(folder, seed) if ready else None
        try:
            files = match_files(folder / "output", ready)
        except F2VError as error:
            files = {}
            process_failure = process_failure or ClipFailure(FailureKind.PROCESS_FAILED, error.what)
        return [failed.get(clip.id) or self._collect(clip.id, files, process_failure) for clip in batch]

    def _collect(
        self, clip_id: str, files: Mapping[str, Path], process_failure: ClipFailure | None
    ) -> Waveform | ClipFailure:
        if clip_id in files:
            try:
                return read_audio(files[clip_id])
            except ClipFailure as failure:
                return failure
        return process_failure or ClipFailure(
            FailureKind.FILE_MISSING, f"the process wrote no audio for clip '{clip_id}'"
        )

    def _run_command(self, folder: Path, seed: int) -> ClipFailure | None:
        """Run the command and return its failure, or None where it succeeded."""
        values = dict(
            zip(_PLACEHOLDERS, (folder / "input", folder / "output", folder / "list.txt", seed), strict=False)
        )
        values["device"] = self.options.device
        command = [word.format_map(values) for word in self.config.command]
        return run_process(
            command,
            cwd=self.cwd,
            env=self.config.env,
            log=folder / "log.txt",
            timeout_s=self.config.timeout_s,
        )


def read_config(path: Path) -> ProcessConfig:
    """Read the description of a process.

    Raises:
        F2VError: no such file, no TOML, an unknown or missing key, a value of the wrong type, an unknown placeholder.
    """
    if not path.is_file():
        raise F2VError(f"'{path}' is not a file", "write --model external:FILE.toml")
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise F2VError(f"{path} is not TOML: {error}", "see the docstring of f2v_bench.systems.external") from error
    known = [part.name for part in fields(ProcessConfig)]
    for key in table:
        if key not in known:
            raise F2VError(f"{path}: unknown key '{key}'", suggest(key, known))
    command = table.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise F2VError(
            f"{path}: 'command' must be a list of words, got {command!r}", 'command = ["python", "infer.py"]'
        )
    for word in command:
        try:
            word.format_map(dict.fromkeys(_PLACEHOLDERS, ""))
        except (KeyError, ValueError, IndexError) as error:
            raise F2VError(
                f"{path}: '{word}' has an unknown placeholder {error}", suggest(word, _PLACEHOLDERS)
            ) from error
    try:
        config = ProcessConfig(**table)
        SpeakerReference(config.speaker_reference)
        if not (config.timeout_s > 0 and config.batch_size >= 1):
            raise ValueError(f"timeout_s {config.timeout_s!r} and batch_size {config.batch_size!r} must be positive")
    except (TypeError, ValueError) as error:
        raise F2VError(f"{path}: {error}", "see the docstring of f2v_bench.systems.external") from error
    return config
