"""Disk cache of face crops, keyed by the content of the video and the crop settings."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.assets import file_sha256
from f2v_bench.errors import F2VError
from f2v_bench.utils.paths import atomic_path, cache_folder

if TYPE_CHECKING:
    from f2v_bench.face.records import FaceCrops

_IMAGES = ("lips", "face")  # stored as differences in time: half the bytes, and faster to write
_ARRAYS = ("lips", "face", "boxes", "points", "visible")
_OLD_NAMES = {"visible": "seen"}  # read for one version
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class CropCache:
    """Folder of face crops.

    Writes are atomic. An entry that cannot be read counts as absent.

    Args:
        folder: cache folder, created with the first entry; None is ``cache_folder("crops")``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder("crops")

    def key(self, video: Path, settings: str) -> str:
        """Return the entry's name for the content of a video and the crop settings."""
        return hashlib.sha256(f"{self.content_sha256(video)}|{settings}".encode()).hexdigest()

    def load(self, key: str) -> dict[str, Any] | None:
        """Load the fields of the ``FaceCrops`` stored under a key, or return None."""
        try:
            with np.load(self._entry(key), allow_pickle=False) as entry:
                stored = {name: name if name in entry else _OLD_NAMES.get(name, name) for name in _ARRAYS}
                fields: dict[str, Any] = {name: entry[key] for name, key in stored.items()}
                fields |= {name: np.cumsum(fields[name], axis=0, dtype=np.uint8) for name in _IMAGES}
                fields["detector"] = str(entry["detector"])
        except _UNREADABLE:  # absent or truncated: the caller computes it again and replaces it
            return None
        return fields if len({len(fields[name]) for name in _ARRAYS}) == 1 else None

    def save(self, key: str, crops: FaceCrops) -> None:
        """Store crops under a key.

        Raises:
            F2VError: the folder cannot be written.
        """
        arrays = {name: getattr(crops, name) for name in _ARRAYS} | {"detector": np.array(crops.detector)}
        # modulo 256: the cumulative sum restores every pixel exactly
        arrays |= {name: np.diff(arrays[name], axis=0, prepend=arrays[name][:1] * 0) for name in _IMAGES}
        with (
            self._atomic_path(self._entry(key)) as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,  # the format of np.load
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def content_sha256(self, video: Path) -> str:
        """Return the SHA-256 of a file, cached while its path, size and modification time stay the same."""
        path = video.resolve()
        stat = path.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns}"
        note = self.folder / "hashes" / hashlib.sha256(os.fsencode(path)).hexdigest()
        if note.is_file():
            cached_stamp, _, sha256 = note.read_text(errors="replace").rpartition(" ")
            if cached_stamp == stamp and len(sha256) == 64:
                return sha256
        content = file_sha256(video)
        with self._atomic_path(note) as part:
            part.write_text(f"{stamp} {content}")
        return content

    @contextmanager
    def _atomic_path(self, path: Path) -> Iterator[Path]:
        """Yield a temporary file that replaces ``path`` on success."""
        try:
            with atomic_path(path) as part:
                yield part
        except OSError as error:
            raise F2VError(
                f"the crop cache '{self.folder}' cannot be written: {error.strerror}",
                "free disk space, or set F2V_CACHE to a writable folder",
            ) from error
