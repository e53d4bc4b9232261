"""Crops on disk, found by what the video holds and how it was cropped, not by where it lies."""

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
    from f2v_bench.face.crops import FaceCrops

_PICTURES = ("lips", "face")  # stored as differences in time: half the bytes, and faster to write
_ARRAYS = ("lips", "face", "boxes", "points", "seen")
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class CropCache:
    """A folder of crops. Entries appear whole or not at all; one that cannot be read counts as absent.

    Args:
        folder: made when the first entry is written; None is ``cache_folder("crops")``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder("crops")

    def key(self, video: Path, settings: str) -> str:
        """The name of the entry for a video's content under these settings."""
        return hashlib.sha256(f"{self.content(video)}|{settings}".encode()).hexdigest()

    def load(self, key: str) -> dict[str, Any] | None:
        """The fields of the ``FaceCrops`` stored under a key, or None."""
        try:
            with np.load(self._entry(key), allow_pickle=False) as entry:
                fields: dict[str, Any] = {name: entry[name] for name in _ARRAYS}
                fields |= {name: np.cumsum(fields[name], axis=0, dtype=np.uint8) for name in _PICTURES}
                fields["detector"] = str(entry["detector"])
        except _UNREADABLE:  # absent, or cut short by a full disk: it is computed again and replaced
            return None
        return fields if len({len(fields[name]) for name in _ARRAYS}) == 1 else None

    def save(self, key: str, crops: FaceCrops) -> None:
        """Store crops under a key.

        Raises:
            F2VError: the folder cannot be written.
        """
        arrays = {name: getattr(crops, name) for name in _ARRAYS} | {"detector": np.array(crops.detector)}
        # modulo 256, so that the sum gives back every pixel exactly
        arrays |= {name: np.diff(arrays[name], axis=0, prepend=arrays[name][:1] * 0) for name in _PICTURES}
        with (
            self._replacing(self._entry(key)) as part,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,  # as np.load reads it
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def content(self, video: Path) -> str:
        """SHA-256 of the file, remembered while its path, size and time of change stay the same."""
        at = video.resolve()
        stat = at.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns}"
        note = self.folder / "hashes" / hashlib.sha256(os.fsencode(at)).hexdigest()
        if note.is_file():
            before, _, known = note.read_text(errors="replace").rpartition(" ")
            if before == stamp and len(known) == 64:
                return known
        content = file_sha256(video)
        with self._replacing(note) as part:
            part.write_text(f"{stamp} {content}")
        return content

    @contextmanager
    def _replacing(self, path: Path) -> Iterator[Path]:
        """A temporary file beside ``path`` that takes its place at the end, whole or not at all."""
        try:
            with atomic_path(path) as part:
                yield part
        except OSError as error:
            raise F2VError(
                f"the crop cache '{self.folder}' cannot be written: {error.strerror}",
                "free some space, or set F2V_CACHE to a folder that can be written",
            ) from error
