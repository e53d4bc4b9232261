"""Checkout of an official repository: its commit and the hash of its code."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from f2v_bench.assets import file_sha256

_CODE = frozenset({".py", ".yaml", ".yml", ".json", ".ini"})


@dataclass(frozen=True, slots=True)
class Repository:
    """Folder with a checkout of official code.

    Attributes:
        folder: absolute path.
        parts: files and folders in it whose code decides the output.
    """

    folder: Path
    parts: tuple[str, ...]

    def commit(self) -> str | None:
        """Return the checked-out commit, with ``+changes`` if files were edited; None outside git."""
        if not (self.folder / ".git").exists():
            return None
        commit = self._git("rev-parse", "HEAD")
        edited = self._git("status", "--porcelain", "--untracked-files=no")
        return f"{commit}+changes" if commit and edited else commit

    def _git(self, *words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.folder), *words], capture_output=True, text=True, check=True, timeout=60
            )
        except (
            OSError,
            subprocess.SubprocessError,
        ):  # no git, or git rejects the owner of the folder: the commit is unknown
            return None
        return done.stdout.strip() or None

    def code_sha256(self) -> str:
        """Return the SHA-256 over names and contents of the code, edited or not."""
        digest = hashlib.sha256()
        for path in sorted(self._files()):
            digest.update(f"{path.relative_to(self.folder).as_posix()}:{file_sha256(path)}\n".encode())
        return digest.hexdigest()

    def _files(self) -> Iterator[Path]:
        for part in self.parts:
            root = self.folder / part
            yield from [root] if root.is_file() else (path for path in root.rglob("*") if path.suffix in _CODE)
