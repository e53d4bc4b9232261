"""Folders of caches and weights on this machine, and atomic writing of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


def cache_folder(room: str) -> Path:
    """Return a cache folder: ``$F2V_CACHE/<room>``, or ``f2v-bench/<room>`` in the user's cache folder."""
    stated = os.environ.get("F2V_CACHE")
    return (Path(stated) if stated else _user_cache()) / room


def asset_folder() -> Path:
    """Return ``$F2V_ASSETS``, or ``f2v-bench/assets`` in the user's cache folder."""
    stated = os.environ.get("F2V_ASSETS")
    return Path(stated) if stated else _user_cache() / "assets"


def atomic_write(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a new file beside ``path`` that replaces it at the end, completely or not at all.

    Raises:
        OSError: the file or its folder cannot be written.
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
