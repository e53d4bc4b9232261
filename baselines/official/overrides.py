"""Command-line overrides of Hydra 1.0 and later."""

from __future__ import annotations

from pathlib import Path


def option(key: str, path: Path) -> str:
    """Return ``key='path'``, quoted so that commas, spaces and equals signs stay part of the path."""
    quoted = str(path).replace("'", "\\'")
    return f"{key}='{quoted}'"
