"""Where the suite keeps files on this machine, caches that may be deleted and weights; and how a file is written."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(room: str) -> Path:
    """The cache of one room: ``$F2V_CACHE/<room>``, or ``f2v-bench/<room>`` in the user's cache folder."""
    stated = os.environ.get("F2V_CACHE")
    return (Path(stated) if stated else _user_cache()) / room


def asset_folder() -> Path:
    """``$F2V_ASSETS``, or ``f2v-bench/assets`` in the user's cache folder."""
    stated = os.environ.get("F2V_ASSETS")
    return Path(stated) if stated else _user_cache() / "assets"


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f2v-bench"
