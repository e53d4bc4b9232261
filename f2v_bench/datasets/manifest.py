"""Manifests: CSV files with one clip of a corpus a row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import category

from f2v_bench.datasets.base import resolve_inside
from f2v_bench.errors import F2VError, suggest

#: accepted names of columns; only the path of the video is required
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("clip_id", "id"),
    "video": ("path", "video"),
    "audio": ("audio",),
    "speaker": ("speaker",),
    "text": ("transcript", "text"),
    "split": ("split",),
    "duration": ("duration_s", "duration"),
}
_SURPLUS = "\0surplus"  # key of fields beyond the header: not a possible column name
_HELP = "write a header with 'clip_id' and 'path'; 'speaker', 'transcript', 'split', 'audio', 'duration' are optional"


@dataclass(frozen=True, slots=True)
class Entry:
    """Row of a manifest; empty fields are None.

    Attributes:
        id: id of the row, or its path without suffix.
        video, audio: files below the folder of the manifest; their existence is not checked.
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
    """Rows of a CSV.

    Attributes:
        path: CSV file.
        entries: rows in order.
        has_splits: True if it has a split column; without one every clip is in every split.
    """

    path: Path
    entries: tuple[Entry, ...]
    has_splits: bool

    def select_split(self, split: str) -> list[Entry]:
        """Return the rows of a split.

        Raises:
            F2VError: no row in the split; the message lists the known splits.
        """
        if not self.has_splits:
            return list(self.entries)
        selected = [entry for entry in self.entries if entry.split == split]
        if not selected:
            known = {entry.split for entry in self.entries if entry.split}
            raise F2VError(f"no row of '{self.path}' is in split '{split}'", suggest(split, known))
        return selected


def find_columns(header: list[str]) -> dict[str, str]:
    """Map keys of ``COLUMNS`` to the original column names of a header."""
    written = {name.strip().lower(): name for name in reversed(header)}
    return {
        key: written[next(name for name in names if name in written)]
        for key, names in COLUMNS.items()
        if any(name in written for name in names)
    }


def is_manifest(path: Path) -> bool:
    """Return True if the header of a CSV has the columns of a manifest."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"id", "video"} <= find_columns(header).keys()


def read_manifest(path: Path) -> Manifest:
    """Read a CSV in UTF-8.

    Raises:
        F2VError: not a CSV, no path column, no row, or an invalid row: a path outside the folder, an id that is not a
            relative path, an empty split, a duration that is not a number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=_SURPLUS, strict=True)
            header = list(reader.fieldnames or [])
            columns = find_columns(header)
            if "video" not in columns:
                raise F2VError(
                    f"'{path}' has no column {' or '.join(COLUMNS['video'])}; it has {header}",
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
        raise F2VError(f"{at} has {more} fields than the header", "quote fields with commas")
    values = {key: (row[name] or "").strip() for key, name in columns.items()}
    for needed in ("id", "video", "split"):
        if values.get(needed) == "":
            raise F2VError(f"{at} has an empty column '{columns[needed]}'", "fill it in, or remove the row")
    if "\0" in "".join(values.values()):
        raise F2VError(f"{at} has a NUL byte", "write the manifest as UTF-8 text")
    video = resolve_inside(folder, values["video"], at)
    relative = PurePosixPath(values["video"])
    name = values.get("id") or relative.as_posix().removesuffix(relative.suffix)
    return Entry(
        id=validate_id(name, at),
        video=video,
        audio=resolve_inside(folder, values["audio"], at) if values.get("audio") else None,
        speaker=values.get("speaker") or None,
        text=values.get("text") or None,
        split=values.get("split") or None,
        duration_s=_seconds(values.get("duration") or None, at),
    )


def validate_id(name: str, at: str) -> str:
    """Return a clip id; refuse ids that are not valid relative file paths.

    Raises:
        F2VError: invalid id; the message has ``at`` and the id.
    """
    parts = name.split("/")
    # control characters, and surrogates of names that are not UTF-8
    if any(part in ("", ".", "..") for part in parts) or {category(letter) for letter in name} & {"Cc", "Cs"}:
        raise F2VError(
            f"{at}: {name!a} cannot be a clip id",
            "an id is a relative path such as speaker/utterance, in UTF-8, without '.', '..' or '//'",
        )
    return name


def _seconds(text: str | None, at: str) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise F2VError(f"{at}: invalid duration '{text}' in seconds", "write a number, or leave it empty") from error
