"""Command-line overrides as Hydra reads them, from version 1.0 on."""

from __future__ import annotations

from pathlib import Path


def option(key: str, path: Path) -> str:
    """``key='path'``: quoted, so that commas, spaces and equals signs stay letters of the path."""
    quoted = str(path).replace("'", "\\'")
    return f"{key}='{quoted}'"
