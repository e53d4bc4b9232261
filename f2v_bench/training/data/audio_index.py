"""Index of a folder of audio files, in shards that are listed once and mapped into memory.

<lists>/shard-000.txt    one line per file: seconds, a tab, its path in the folder
<lists>/shard-000.npy    int64 (files, 2): segments of the shard before each file, and offset of its line
<lists>/index.json       totals of all shards, written last

A file of n segment lengths has n segments, so that an hour of an audiobook counts as much as an hour of sentences.
Memory does not grow with the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.media import audio_duration_s, is_audio_name
from f2v_bench.timing import FPS
from f2v_bench.utils.multiprocessing import unordered_map
from f2v_bench.utils.paths import atomic_path, atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILES_PER_JOB = 200  # files that a process reads before it reports
_EARLIER_FIELDS = {"pieces": "segments", "left_out": "skipped"}  # of index.json


class Segment(NamedTuple):
    """Part of a file from which a training segment is drawn.

    Attributes:
        path: path of the file.
        seconds: duration of the whole file.
        position: index of the part in the file.
        parts: number of parts of the file.
    """

    path: Path
    seconds: float
    position: int
    parts: int


@dataclass(frozen=True, slots=True)
class AudioIndexInfo:
    """Totals of an index.

    Attributes:
        folder: indexed folder.
        segment: video frames of a segment.
        segments: number of segments of each shard.
        files: number of readable files.
        hours: total duration of the audio.
        skipped: reasons by path, for unreadable files.
    """

    folder: str
    segment: int
    segments: tuple[int, ...]
    files: int
    hours: float
    skipped: dict[str, str]


class AudioIndex:
    """Segments of a folder by number.

    Args:
        lists: folder that ``index_folder`` has written.
    """

    def __init__(self, lists: Path) -> None:
        self.lists = lists
        content = json.loads((lists / "index.json").read_text(encoding="utf-8"))
        content = {_EARLIER_FIELDS.get(name, name): value for name, value in content.items()}
        self.info = AudioIndexInfo(**content | {"segments": tuple(content["segments"])})
        self._folder = Path(self.info.folder)
        self._ends = np.cumsum(self.info.segments)
        self._loaded_rows: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Segment:
        shard = int(self._ends.searchsorted(index, side="right"))
        inside = index - int(self._ends[shard] - self.info.segments[shard])
        rows = self._rows(shard)
        file = int(rows[:, 0].searchsorted(inside, side="right")) - 1
        first = int(rows[file, 0])
        end = int(rows[file + 1, 0]) if file + 1 < len(rows) else self.info.segments[shard]
        with (self.lists / f"shard-{shard:03d}.txt").open("rb") as opened:
            opened.seek(int(rows[file, 1]))
            seconds, _, path = opened.readline().decode().rstrip("\n").partition("\t")
        return Segment(self._folder / path, float(seconds), inside - first, end - first)

    def _rows(self, shard: int) -> NDArray[np.int64]:
        if shard not in self._loaded_rows:
            self._loaded_rows[shard] = np.load(self.lists / f"shard-{shard:03d}.npy", mmap_mode="r")
        return self._loaded_rows[shard]


def index_folder(
    folder: Path,
    lists: Path,
    shards: int,
    segment: int,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> AudioIndex:
    """Index a folder, unless its index exists already.

    Args:
        folder: folder of audio files, however nested.
        lists: folder of the index.
        shards: number of shards; a file's shard follows from its path in the folder alone.
        segment: video frames of a segment.
        workers: processes that read durations.
        progress: called with (done, total).

    Raises:
        F2VError: no such folder, or no readable audio in it.
    """
    if (lists / "index.json").is_file():
        return AudioIndex(lists)
    if not folder.is_dir():
        raise F2VError(f"pretraining.folder '{folder}' is not a folder", "name one of audio files, or leave it out")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if is_audio_name(path))
    jobs = [(folder, names[first : first + _FILES_PER_JOB]) for first in range(0, len(names), _FILES_PER_JOB)]
    report = progress or (lambda _done, _total: None)
    report(0, len(names))
    durations: dict[str, float] = {}
    skipped: dict[str, str] = {}
    for _, found in unordered_map(_durations, jobs, workers, _start_worker):
        for name, seconds in found.items():
            if isinstance(seconds, str):
                skipped[name] = seconds
            else:
                durations[name] = seconds
        report(len(durations) + len(skipped), len(names))
    if not durations:
        why = next(iter(skipped.values()), "there is no audio file in it")
        raise F2VError(f"'{folder}' has no readable audio: {why}", "name a folder of audio files")
    files: list[list[tuple[str, float]]] = [[] for _ in range(shards)]
    for name, seconds in sorted(durations.items()):
        files[shard_index(name, shards)].append((name, seconds))
    segments = [_write_shard(lists, shard, own, segment) for shard, own in enumerate(files)]
    hours = sum(durations.values()) / 3600
    info = AudioIndexInfo(str(folder.resolve()), segment, tuple(segments), len(durations), hours, skipped)
    atomic_write(lists / "index.json", json.dumps(asdict(info), indent=1) + "\n")
    return AudioIndex(lists)


def shard_index(name: str, shards: int) -> int:
    """Return the shard of a file by the hash of its path in the folder; it does not depend on other files."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") % shards


def _write_shard(lists: Path, shard: int, files: Sequence[tuple[str, float]], segment: int) -> int:
    """Write the lists of a shard; return its number of segments."""
    rows, segments, offset = [], 0, 0
    lines = []
    for name, seconds in files:
        rows.append((segments, offset))
        segments += max(1, round(seconds * FPS / segment))
        lines.append(f"{seconds:.6f}\t{name}\n".encode())
        offset += len(lines[-1])
    with atomic_path(lists / f"shard-{shard:03d}.txt") as part:
        part.write_bytes(b"".join(lines))
    with atomic_path(lists / f"shard-{shard:03d}.npy") as part, part.open("wb") as opened:
        np.save(opened, np.array(rows, np.int64).reshape(-1, 2))
    return segments


def _durations(folder: Path, names: Iterable[str]) -> dict[str, float | str]:
    """Return the seconds of each file, or the reason why it cannot be read."""
    durations: dict[str, float | str] = {}
    for name in names:
        try:
            seconds = audio_duration_s(folder / name)
        except ClipFailure as failure:
            durations[name] = str(failure)
            continue
        is_long_enough = seconds * FPS >= 1
        durations[name] = seconds if is_long_enough else f"too_short: '{folder / name}' lasts {seconds * 1000:.0f} ms"
    return durations


def _start_worker() -> None:
    """Import nothing: libsndfile and FFmpeg suffice to read durations."""
