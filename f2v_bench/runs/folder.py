"""The run folder: everything that is known about a run, and all that tables, plots and gates may read.

    run.json          what was run: protocol, versions, hardware, seed, dataset list, systems, metrics
    clips.parquet     the clips of the list: id, speaker, text, duration, and what the face detector saw
    audio/<system>/<clip>.flac
    audio.parquet     one row a system and clip: status, hash, seconds of synthesis
    scores.parquet    one row a system, clip and column: value, weight, status, signature
    errors.log        tracebacks of what nobody foresaw
    shards/*.jsonl    append-only journals from which the two tables above are made

While a run lasts it only appends: every start writes shards of its own, so that a process killed in the middle of a
line harms that line alone, and the next start goes on from what is whole.
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
from f2v_bench.scoring.records import RowKey, ScoreRow
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class AudioRecord:
    """What became of one clip in one system.

    Attributes:
        status: ``ok`` or a FailureKind.
        fingerprint: what the output depends on; audio is kept while it is unchanged.
        sha256: hash of the stored waveform, empty without one.
        sample_rate: of the stored waveform, 0 without one.
        duration_s: of the stored waveform.
        seconds: wall time of the synthesis, shared out evenly over its batch.
        clipped: samples outside [-1, 1], which the file cannot hold.
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
    """What the face detector saw of one clip.

    Attributes:
        status: ``ok`` or a FailureKind.
        seen: share of frames with the face, 0 to 1.
        video: size and time of the video file that was looked at.
    """

    clip: str
    status: str
    detail: str
    seen: float
    video: str


AnyRecord = AudioRecord | FaceRecord | ScoreRow
_KINDS = {AudioRecord: "audio", FaceRecord: "faces", ScoreRow: "scores"}


class RunFolder:
    """A run folder on disk.

    Args:
        path: the folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # what stands in it

    def audio_path(self, system: str, clip: str) -> Path:
        return self.path / "audio" / system / f"{clip}.flac"

    def manifest(self) -> dict[str, Any]:
        """``run.json``.

        Raises:
            F2VError: this is no run folder, or one of a later format.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise F2VError(
                f"'{self.path}' is not a run folder: run.json cannot be read ({error})",
                "name the folder that 'f2v-bench run' or 'f2v-bench score' printed",
            ) from error
        if found.get("format") != FORMAT:
            raise F2VError(
                f"'{self.path}' has run-folder format {found.get('format')!r}, this version reads {FORMAT}",
                "use the f2v-bench version that wrote it, or run again into a new folder",
            )
        return found

    def exists(self) -> bool:
        return (self.path / "run.json").is_file()

    def audio_records(self) -> dict[tuple[str, str], AudioRecord]:
        """The last record of every system and clip."""
        return {record.key: record for record in self._read("audio", AudioRecord)}

    def face_records(self) -> dict[str, FaceRecord]:
        """The last record of every clip."""
        return {record.clip: record for record in self._read("faces", FaceRecord)}

    def score_states(self) -> dict[RowKey, str]:
        """The last status of every key: what is done, without holding the rows."""
        return {row.key: row.status for row in self._read("scores", ScoreRow)}

    def score_rows(self, wanted: Collection[RowKey]) -> dict[RowKey, ScoreRow]:
        """The last row of every key that is wanted."""
        return {row.key: row for row in self._read("scores", ScoreRow) if row.key in wanted}

    def waveform(self, system: str, clip: str) -> Waveform:
        return read_audio(self.audio_path(system, clip))

    def table(self, name: str) -> pd.DataFrame:
        """``clips``, ``audio`` or ``scores`` as a data frame.

        Raises:
            F2VError: the run has not got so far.
        """
        import pandas as pd

        path = self.path / f"{name}.parquet"
        if not path.is_file():
            raise F2VError(f"'{self.path}' has no {name}.parquet: the run did not finish", "run the same command again")
        return pd.read_parquet(path)

    def _read(self, kind: str, record: Callable[..., Record]) -> Iterator[Record]:
        """Whole lines of every shard of a kind, oldest shard first."""
        for shard in sorted((self.path / "shards").glob(f"{kind}-*.jsonl")):
            for line in shard.read_bytes().split(b"\n"):
                try:
                    yield record(**json.loads(line))
                except ValueError:
                    continue  # the line that a kill cut short; what it said is computed again

    # writing

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **manifest}, indent=2, ensure_ascii=False)
        atomic_write(self.path / "run.json", text)

    def write_table(self, name: str, rows: Iterable[dict[str, Any]], columns: list[str]) -> None:
        """Write a Parquet table whole or not at all; sorted by its columns, so that equal runs are equal files."""
        import pandas as pd

        frame = pd.DataFrame(list(rows), columns=columns)
        part = self.path / f".{name}.part.parquet"
        frame.sort_values(columns[: min(3, len(columns))], kind="stable").to_parquet(part, index=False)
        part.replace(self.path / f"{name}.parquet")

    def store(self, system: str, clip: str, waveform: Waveform) -> tuple[Waveform, int]:
        """Write audio and return it as it was stored (24 bits), with the count of clipped samples."""
        path = self.audio_path(system, clip)
        clipped = write_audio(path, waveform)
        return read_audio(path), clipped

    def log_error(self, text: str) -> None:
        with (self.path / "errors.log").open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n\n")


class Journal:
    """The append-only side of a run folder; one process at a time may hold it.

    Use as a context manager.

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
        """Add records; on disk when this returns."""
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
    """The columns of a record's table."""
    return [field.name for field in fields(record)]
