"""A folder of audio files as a training goes through it: listed once in shards, told apart by hash.

<lists>/shard-000.txt    a file a line: seconds, a tab, its path from the folder
<lists>/shard-000.npy    int64 (files, 2): pieces of the shard before each file, and where its line begins
<lists>/index.json       what all of them hold, written last

A file of n segments is n pieces, so that an hour of an audiobook counts as much as an hour of sentences. The lists are
mapped, not read: what is in memory does not grow with the folder.
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

_AT_ONCE = 200  # files that a process looks at before it reports


class Segment(NamedTuple):
    """A part of a file that a segment is drawn from.

    Attributes:
        path: of the file.
        seconds: that the whole file lasts.
        place: of the piece among those of the file.
        pieces: of the file.
    """

    path: Path
    seconds: float
    place: int
    pieces: int


@dataclass(frozen=True, slots=True)
class AudioIndexInfo:
    """What the shards hold.

    Attributes:
        folder: that was listed.
        segment: video frames of a piece.
        pieces: in each shard.
        files: that can be read.
        hours: of sound.
        left_out: path to the reason, for files that cannot be.
    """

    folder: str
    segment: int
    pieces: tuple[int, ...]
    files: int
    hours: float
    left_out: dict[str, str]


class AudioIndex:
    """Pieces of a folder, by number.

    Args:
        lists: where ``index_folder`` has written them.
    """

    def __init__(self, lists: Path) -> None:
        self.lists = lists
        found = json.loads((lists / "index.json").read_text(encoding="utf-8"))
        self.index = AudioIndexInfo(**found | {"pieces": tuple(found["pieces"])})
        self._folder = Path(self.index.folder)
        self._ends = np.cumsum(self.index.pieces)
        self._rows: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, at: int) -> Segment:
        shard = int(self._ends.searchsorted(at, side="right"))
        inside = at - int(self._ends[shard] - self.index.pieces[shard])
        rows = self._rows_of(shard)
        file = int(rows[:, 0].searchsorted(inside, side="right")) - 1
        after = int(rows[file + 1, 0]) if file + 1 < len(rows) else self.index.pieces[shard]
        with (self.lists / f"shard-{shard:03d}.txt").open("rb") as opened:
            opened.seek(int(rows[file, 1]))
            seconds, _, path = opened.readline().decode().rstrip("\n").partition("\t")
        first = int(rows[file, 0])
        return Segment(self._folder / path, float(seconds), inside - first, after - first)

    def _rows_of(self, shard: int) -> NDArray[np.int64]:
        if shard not in self._rows:
            self._rows[shard] = np.load(self.lists / f"shard-{shard:03d}.npy", mmap_mode="r")
        return self._rows[shard]


def index_folder(
    folder: Path,
    lists: Path,
    shards: int,
    segment: int,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> AudioIndex:
    """List a folder, unless that is done already.

    Args:
        folder: of audio files, however nested.
        lists: where the lists go.
        shards: how many; which one a file is in follows from its path in the folder alone.
        segment: video frames of a piece.
        workers: processes that ask files how long they are.
        progress: called with (done, all).

    Raises:
        F2VError: no such folder, or nothing in it that can be heard.
    """
    if (lists / "index.json").is_file():
        return AudioIndex(lists)
    if not folder.is_dir():
        raise F2VError(f"pretraining.folder '{folder}' is not a folder", "name one of audio files, or leave it out")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if is_audio_name(path))
    jobs = [(folder, names[first : first + _AT_ONCE]) for first in range(0, len(names), _AT_ONCE)]
    report = progress or (lambda _done, _all: None)
    report(0, len(names))
    lasting: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for _, found in unordered_map(_durations, jobs, workers, _start_worker):
        for name, seconds in found.items():
            if isinstance(seconds, str):
                left_out[name] = seconds
            else:
                lasting[name] = seconds
        report(len(lasting) + len(left_out), len(names))
    if not lasting:
        why = next(iter(left_out.values()), "there is no audio file in it")
        raise F2VError(f"nothing in '{folder}' can be heard: {why}", "name a folder of audio files")
    files: list[list[tuple[str, float]]] = [[] for _ in range(shards)]
    for name, seconds in sorted(lasting.items()):
        files[shard_index(name, shards)].append((name, seconds))
    pieces = [_write_shard(lists, shard, own, segment) for shard, own in enumerate(files)]
    hours = sum(lasting.values()) / 3600
    index = AudioIndexInfo(str(folder.resolve()), segment, tuple(pieces), len(lasting), hours, left_out)
    atomic_write(lists / "index.json", json.dumps(asdict(index), indent=1) + "\n")
    return AudioIndex(lists)


def shard_index(name: str, shards: int) -> int:
    """The shard of a file, by the hash of its path in the folder: other files do not move it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") % shards


def _write_shard(lists: Path, shard: int, files: Sequence[tuple[str, float]], segment: int) -> int:
    rows, pieces, offset = [], 0, 0
    lines = []
    for name, seconds in files:
        rows.append((pieces, offset))
        pieces += max(1, round(seconds * FPS / segment))
        lines.append(f"{seconds:.6f}\t{name}\n".encode())
        offset += len(lines[-1])
    with atomic_path(lists / f"shard-{shard:03d}.txt") as part:
        part.write_bytes(b"".join(lines))
    with atomic_path(lists / f"shard-{shard:03d}.npy") as part, part.open("wb") as opened:
        np.save(opened, np.array(rows, np.int64).reshape(-1, 2))
    return pieces


def _durations(folder: Path, names: Iterable[str]) -> dict[str, float | str]:
    """Seconds of each file, or why it cannot be heard."""
    found: dict[str, float | str] = {}
    for name in names:
        try:
            seconds = audio_duration_s(folder / name)
        except ClipFailure as failure:
            found[name] = str(failure)
            continue
        found[name] = seconds if seconds * FPS >= 1 else f"too_short: '{folder / name}' lasts {seconds * 1000:.0f} ms"
    return found


def _start_worker() -> None:
    """Nothing but libsndfile and FFmpeg is needed to ask a file how long it is."""
