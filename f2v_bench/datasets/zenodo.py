"""Download of GRID, the one open corpus, from Zenodo: resumable and verified."""

from __future__ import annotations

import json
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from f2v_bench.errors import F2VError
from f2v_bench.utils.download import Progress, fetch, open_url

GRID_RECORD = "https://zenodo.org/api/records/3625687"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """File of a Zenodo record; ``checksum`` is ``md5:<hex>`` or None."""

    name: str
    url: str
    size: int | None
    checksum: str | None


def pull_grid(speaker: str, root: Path, *, base_url: str = GRID_RECORD, progress: Progress | None = None) -> Path:
    """Fetch the videos of one speaker, and the word alignments, into the published layout.

    Existing files are not fetched again; an interrupted transfer resumes.

    Args:
        speaker: speaker id, ``s1`` to ``s34`` except ``s21``.
        root: root folder of GRID, with ``s1/*.mpg`` and ``alignments/s1/*.align`` afterwards.
        base_url: URL of the record in Zenodo's API.
        progress: callback for the progress of each file.

    Returns:
        Folder of the speaker's videos.

    Raises:
        F2VError: unknown speaker, no network, a file with a wrong checksum, or a folder that cannot be written.
    """
    number = int(speaker[1:]) if re.fullmatch(r"s[1-9]\d?", speaker) else 0
    if not 1 <= number <= 34 or number == 21:
        raise F2VError(f"GRID has no videos of a speaker '{speaker}'", "speakers are s1 to s34; s21 has no video")
    names = (speaker, "alignments")
    wanted = [name for name in names if not (_marker(root, name).is_file() and (root / name).is_dir())]
    files = read_record(base_url) if wanted else {}
    for name in wanted:
        archive = f"{name}.zip"
        if archive not in files:
            raise F2VError(f"the record {base_url} has no file '{archive}'", f"it has {', '.join(sorted(files))}")
        with _report_write_errors(root):
            file = files[archive]
            home = _marker(root, name).parent
            path = fetch(file.url, home, file.name, checksum=file.checksum, size=file.size, progress=progress)
            unpack(path, root, name)
            _marker(root, name).write_text(f"{files[archive].checksum}\n", encoding="utf-8")
            path.unlink()
    return root / speaker


def _marker(root: Path, name: str) -> Path:
    return root / ".f2v-pull" / f"{name}.done"


@contextmanager
def _report_write_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise F2VError(
            f"cannot write the corpus to '{root}': {error}", "choose a writable folder with free space"
        ) from error


def read_record(url: str) -> dict[str, RecordFile]:
    """Return the files of a Zenodo record, by name.

    Raises:
        F2VError: the record cannot be reached, or is not in the format of Zenodo's API.
    """
    try:
        with open_url(url) as response:
            body = response.read()
    except (OSError, HTTPException) as error:
        raise F2VError(f"{url} cannot be read: {error}", "check the network and run the command again") from error
    try:
        files = [
            RecordFile(item["key"], item["links"]["self"], item.get("size"), item.get("checksum"))
            for item in json.loads(body)["files"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise F2VError(
            f"{url} is not a record of Zenodo's API: {error!r}", f"the record of GRID is {GRID_RECORD}"
        ) from (error)
    return {file.name: file for file in files}


def unpack(archive: Path, root: Path, name: str) -> None:
    """Unpack a ZIP into ``root/name``, whole files only; a top folder ``name`` of the archive is merged with it.

    Raises:
        F2VError: not a ZIP, an entry outside the folder or a link, or not enough disk space.
    """
    staging = archive.with_suffix(".unpack")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [
                info for info in file.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
            ]
            _check_entries(archive, entries, root)
            for info in entries:
                file.extract(info, staging)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise F2VError(f"'{archive}' cannot be unpacked: {error}", "delete it and run the command again") from error
    for info in entries:
        parts = PurePosixPath(info.filename).parts
        target = root.joinpath(name, *(parts[1:] if parts[0] == name else parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.joinpath(*parts).replace(target)
    shutil.rmtree(staging)


def _check_entries(archive: Path, entries: list[zipfile.ZipInfo], root: Path) -> None:
    for info in entries:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or stat.S_ISLNK(info.external_attr >> 16):
            raise F2VError(
                f"'{archive}' has the entry '{info.filename}', which is outside its folder or is a link",
                "do not use this archive: it is not the published one",
            )
    needed, free = sum(info.file_size for info in entries), shutil.disk_usage(root).free
    if needed > free:
        raise F2VError(f"'{archive}' needs {needed >> 20} MB at '{root}', where {free >> 20} are free", "make room")
