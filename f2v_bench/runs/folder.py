"""Run folder: the record of a run, and the only input of tables, plots and gates.

    run.json          protocol, versions, hardware, seed, dataset list, systems, metrics
    clips.parquet     one row per clip of the list: id, speaker, text, duration, result of face detection
    audio/<system>/<clip>.flac
    audio.parquet     one row per system and clip: status, hash, seconds of synthesis
    scores.parquet    one row per system, clip and column: value, weight, status, signature
    errors.log        tracebacks of unexpected errors
    shards/*.jsonl    append-only journals from which the last two tables are made

A run only appends, and every start writes its own shards. A process killed in the middle of a line damages that line
alone; the next start resumes from the complete lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from f2v_bench.clip import Waveform
from f2v_bench.errors import F2VError
from f2v_bench.media import read_audio, write_audio
from f2v_bench.runs.legacy import upgrade_manifest, upgrade_record, upgrade_table
from f2v_bench.scoring.records import RowKey, ScoreRow
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
READ_FORMATS = (1, FORMAT)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class AudioRecord:
    """Outcome of one clip in one system.

    Attributes:
        system: label of the system.
        clip: clip id.
        status: ``ok`` or a FailureKind.
        detail: one line about the failure, or empty.
        fingerprint: digest of the inputs of the synthesis; audio is kept while it is unchanged.
        sha256: hash of the stored waveform, empty without one.
        sample_rate: sample rate of the stored waveform in Hz, 0 without one.
        duration_s: duration of the stored waveform in seconds.
        seconds: wall time of the synthesis, divided evenly over its batch.
        clipped: number of samples outside [-1, 1], clipped by the file format.
    """

    system: str
    clip: str
    status: str
    detail: str
    fingerprint: str
    sha256: str = ""
    sample_rate: int = 0
    duration_s: float = 0.0
    seconds: float = 0.0
    clipped: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.system, self.clip


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """Result of face detection on one clip.

    Attributes:
        clip: clip id.
        status: ``ok`` or a FailureKind.
        detail: one line about the failure, or empty.
        visible: share of frames with a detected face, 0 to 1.
        video: size and modification time of the video file.
    """

    clip: str
    status: str
    detail: str
    visible: float
    video: str


AnyRecord = AudioRecord | FaceRecord | ScoreRow
_KINDS = {AudioRecord: "audio", FaceRecord: "faces", ScoreRow: "scores"}


class RunFolder:
    """Run folder on disk.

    Args:
        path: folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # reading

    def audio_path(self, system: str, clip: str) -> Path:
        """Return the path of a waveform."""
        return self.path / "audio" / system / f"{clip}.flac"

    def manifest(self) -> dict[str, Any]:
        """Return ``run.json``, names of older formats upgraded.

        Raises:
            F2VError: not a run folder, or one of an unknown format.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise F2VError(
                f"'{self.path}' is not a run folder: run.json cannot be read ({error})",
                "name the folder that 'f2v-bench run' or 'f2v-bench score' printed",
            ) from error
        if found.get("format") not in READ_FORMATS:
            raise F2VError(
                f"'{self.path}' has run-folder format {found.get('format')!r}, this version reads "
                f"{' and '.join(map(str, READ_FORMATS))}",
                "use the f2v-bench version that wrote it, or run again into a new folder",
            )
        return upgrade_manifest(found)

    def exists(self) -> bool:
        """Return True where the folder holds a run."""
        return (self.path / "run.json").is_file()

    def audio_records(self) -> dict[tuple[str, str], AudioRecord]:
        """Return the last record of every system and clip."""
        return {record.key: record for record in self._read("audio", AudioRecord)}

    def face_records(self) -> dict[str, FaceRecord]:
        """Return the last record of every clip."""
        return {record.clip: record for record in self._read("faces", FaceRecord)}

    def score_states(self) -> dict[RowKey, str]:
        """Return the last status of every row key, without keeping the rows in memory."""
        return {row.key: row.status for row in self._read("scores", ScoreRow)}

    def score_rows(self, keys: Collection[RowKey]) -> dict[RowKey, ScoreRow]:
        """Return the last row of every key."""
        return {row.key: row for row in self._read("scores", ScoreRow) if row.key in keys}

    def waveform(self, system: str, clip: str) -> Waveform:
        """Read the waveform of a system and clip."""
        return read_audio(self.audio_path(system, clip))

    def table(self, name: str) -> pd.DataFrame:
        """Return ``clips``, ``audio`` or ``scores`` as a data frame.

        Raises:
            F2VError: the run did not finish.
        """
        import pandas as pd

        path = self.path / f"{name}.parquet"
        if not path.is_file():
            raise F2VError(f"'{self.path}' has no {name}.parquet: the run did not finish", "run the same command again")
        table = pd.read_parquet(path)
        return upgrade_table(name, table)

    def _read(self, kind: str, record: Callable[..., Record]) -> Iterator[Record]:
        """Yield the complete lines of every shard of a kind, oldest shard first."""
        for shard in sorted((self.path / "shards").glob(f"{kind}-*.jsonl")):
            for line in shard.read_bytes().split(b"\n"):
                try:
                    yield record(**upgrade_record(json.loads(line)))
                except ValueError:
                    continue  # cut short by a kill: its clip is computed again

    # writing

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write ``run.json`` atomically."""
        text = json.dumps({"format": FORMAT} | manifest | {"format": FORMAT}, indent=2, ensure_ascii=False)
        atomic_write(self.path / "run.json", text)

    def write_table(self, name: str, rows: Iterable[dict[str, Any]], columns: list[str]) -> None:
        """Write a Parquet table atomically, sorted by its columns: equal runs write equal files."""
        import pandas as pd

        frame = pd.DataFrame(list(rows), columns=columns)
        part = self.path / f".{name}.part.parquet"
        frame.sort_values(columns[: min(3, len(columns))], kind="stable").to_parquet(part, index=False)
        part.replace(self.path / f"{name}.parquet")

    def store(self, system: str, clip: str, waveform: Waveform) -> tuple[Waveform, int]:
        """Write audio and return it as stored (24 bits), with the number of clipped samples."""
        path = self.audio_path(system, clip)
        clipped = write_audio(path, waveform)
        return read_audio(path), clipped

    def log_error(self, text: str) -> None:
        """Append to ``errors.log``."""
        with (self.path / "errors.log").open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n\n")


class Journal:
    """Append-only writer of a run folder, locked to one process at a time; a context manager.

    Raises:
        F2VError: the folder cannot be written, or another process is running in it.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._number = 0

    def __enter__(self) -> Journal:
        from filelock import FileLock, Timeout

        shards = self._folder.path / "shards"
        try:
            shards.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(shards / "lock", timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise F2VError(
                f"another f2v-bench is running in '{self._folder.path}'", "wait for it, or choose another --out"
            ) from error
        except OSError as error:
            raise F2VError(
                f"the output folder '{self._folder.path}' cannot be written: {error.strerror}",
                "choose another with --out",
            ) from error
        self._number = 1 + max((int(p.stem.rpartition("-")[2]) for p in shards.glob("*-*.jsonl")), default=-1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._lock.release()

    def append(self, records: Iterable[AnyRecord]) -> None:
        """Append records and flush them to disk."""
        lines: dict[str, list[bytes]] = {}
        for record in records:
            kind = _KINDS[type(record)]
            lines.setdefault(kind, []).append(json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n")
        for kind, content in lines.items():
            if kind not in self._files:
                shard = self._folder.path / "shards" / f"{kind}-{self._number:05d}.jsonl"
                self._files[kind] = shard.open("ab")
            self._files[kind].write(b"".join(content))
            self._files[kind].flush()
            os.fsync(self._files[kind].fileno())


def column_names(record: type[AnyRecord]) -> list[str]:
    """Return the columns of a record's table."""
    return [field.name for field in fields(record)]
