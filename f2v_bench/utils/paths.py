"""Where the suite keeps files on this machine, caches that may be deleted and weights; and how a file is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


def cache_folder(room: str) -> Path:
    """The cache of one room: ``$F2V_CACHE/<room>``, or ``f2v-bench/<room>`` in the user's cache folder."""
    stated = os.environ.get("F2V_CACHE")
    return (Path(stated) if stated else _user_cache()) / room


def asset_folder() -> Path:
    """``$F2V_ASSETS``, or ``f2v-bench/assets`` in the user's cache folder."""
    stated = os.environ.get("F2V_ASSETS")
    return Path(stated) if stated else _user_cache() / "assets"


def atomic_write(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A new file beside ``path``, whose folder is made, that takes its place at the end: whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f2v-bench"
