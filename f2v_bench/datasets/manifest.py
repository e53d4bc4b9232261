"""Manifests: a CSV that lists the clips of a corpus, one a row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import category

from f2v_bench.datasets.base import inside
from f2v_bench.errors import F2VError, suggest

#: what a column may be called; only the video's path is needed
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("clip_id", "id"),
    "video": ("path", "video"),
    "audio": ("audio",),
    "speaker": ("speaker",),
    "text": ("transcript", "text"),
    "split": ("split",),
    "duration": ("duration_s", "duration"),
}
_SURPLUS = "\0surplus"  # under this key go fields beyond the header: no column can be called so
_HELP = (
    "write a header with 'clip_id' and 'path', and if you like 'speaker', 'transcript', 'split', 'audio', 'duration'"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what the manifest says of a clip, None where it says nothing.

    Attributes:
        id: the row's id, or its path without suffix.
        video, audio: files under the manifest's folder; whether they exist is not looked at.
    """

    id: str
    video: Path
    audio: Path | None
    speaker: str | None
    text: str | None
    split: str | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a CSV.

    Attributes:
        path: the file.
        entries: its rows in order.
        has_splits: whether it has a split column; without one every clip is in every split.
    """

    path: Path
    entries: tuple[Entry, ...]
    has_splits: bool

    def of_split(self, split: str) -> list[Entry]:
        """The rows of a split.

        Raises:
            F2VError: no row is in it; lists the splits that exist.
        """
        if not self.has_splits:
            return list(self.entries)
        chosen = [entry for entry in self.entries if entry.split == split]
        if not chosen:
            known = {entry.split for entry in self.entries if entry.split}
            raise F2VError(f"no row of '{self.path}' is in split '{split}'", suggest(split, known))
        return chosen


def find_columns(header: list[str]) -> dict[str, str]:
    """Which column of a header holds what: keys of ``COLUMNS`` to names as written."""
    written = {name.strip().lower(): name for name in reversed(header)}
    return {
        key: written[next(name for name in names if name in written)]
        for key, names in COLUMNS.items()
        if any(name in written for name in names)
    }


def is_manifest(path: Path) -> bool:
    """Whether a CSV's header has the columns of a manifest."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"id", "video"} <= find_columns(header).keys()


def read_manifest(path: Path) -> Manifest:
    """Read a CSV in UTF-8.

    Raises:
        F2VError: not a CSV, no column with paths (names what was seen), no row, or a row that is wrong: a path outside
            the folder, an id that is no relative path, a split left empty, a length that is no number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=_SURPLUS, strict=True)
            header = list(reader.fieldnames or [])
            columns = find_columns(header)
            if "video" not in columns:
                raise F2VError(
                    f"'{path}' has no column called {' or '.join(COLUMNS['video'])}; it has {header}",
                    _HELP,
                )
            rows = [(f"'{path}' line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise F2VError(f"the manifest '{path}' cannot be read as CSV: {error}", _HELP) from error
    if not rows:
        raise F2VError(f"the manifest '{path}' has no row", _HELP)
    return Manifest(path, tuple(_entry(path.parent, row, columns, at) for at, row in rows), "split" in columns)


def _entry(folder: Path, row: Mapping[str, str | None], columns: Mapping[str, str], at: str) -> Entry:
    if _SURPLUS in row or None in row.values():
        more = "more" if _SURPLUS in row else "fewer"
        raise F2VError(f"{at} has {more} fields than the header", "quote fields that hold commas")
    values = {key: (row[name] or "").strip() for key, name in columns.items()}
    for needed in ("id", "video", "split"):
        if values.get(needed) == "":
            raise F2VError(f"{at} has nothing in column '{columns[needed]}'", "fill it in, or remove the row")
    if "\0" in "".join(values.values()):
        raise F2VError(f"{at} holds a NUL byte", "write the manifest as UTF-8 text")
    video = inside(folder, values["video"], at)
    relative = PurePosixPath(values["video"])
    name = values.get("id") or relative.as_posix().removesuffix(relative.suffix)
    return Entry(
        id=checked_id(name, at),
        video=video,
        audio=inside(folder, values["audio"], at) if values.get("audio") else None,
        speaker=values.get("speaker") or None,
        text=values.get("text") or None,
        split=values.get("split") or None,
        duration_s=_seconds(values.get("duration") or None, at),
    )


def checked_id(name: str, at: str) -> str:
    """A clip id, refused where the files named after it could not be written, or would leave their folder.

    Raises:
        F2VError: names ``at`` and the id.
    """
    parts = name.split("/")
    # control characters, and what is left of names that are not UTF-8
    if any(part in ("", ".", "..") for part in parts) or {category(letter) for letter in name} & {"Cc", "Cs"}:
        raise F2VError(
            f"{at}: {name!a} cannot be a clip id",
            "an id is a relative path, as speaker/utterance, in UTF-8 and without '.', '..' or '//'",
        )
    return name


def _seconds(text: str | None, at: str) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise F2VError(f"{at}: '{text}' is no length in seconds", "write a number, or leave it empty") from error
