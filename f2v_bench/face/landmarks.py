"""Where eyes, nose and mouth are in every frame: from a detector's points, from the cascade's eyes, or from a file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.face.geometry import EYES_IN_BOX, five_points, mean_face
from f2v_bench.face.motion import head_motion, steadied
from f2v_bench.face.smooth import filled, smoothed
from f2v_bench.face.track import FaceTrack, check_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUFFIXES = (".npy", ".npz")
_LENGTH_TOLERANCE = 2  # frames by which landmark files and decoders may differ at the end
_SIGMA = 1.0  # frames; takes out the tremble of per-frame landmarks and leaves the head's motion


def points_of(track: FaceTrack, complete: bool, frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """The five points of the tracked face in every frame, float32 ``(T, 5, 2)``.

    Args:
        track: as ``talking_face`` returns it.
        complete: whether the detector knows all five points; otherwise the eyes it knows carry the mean face.
        frames: the clip's frames, uint8 RGB ``(H, W, 3)``; read only where the points are not complete.
    """
    if complete:
        return smoothed(filled(track.points), _SIGMA, median=3).astype(np.float32)
    sides = (track.boxes[:, 2] - track.boxes[:, 0])[:, None, None]
    in_box = (track.points[:, :2] - track.boxes[:, None, :2]) / sides
    usual = EYES_IN_BOX.copy()  # where the eye cascade finds none
    for eye in range(2):
        if np.isfinite(in_box[:, eye]).any():
            usual[eye] = np.nanmedian(in_box[:, eye], axis=0)
    by_box = track.boxes[:, None, :2] + usual * sides
    both = np.isfinite(in_box).all(axis=(1, 2), keepdims=True)
    eyes = np.where(both, track.points[:, :2], by_box)
    searched = np.isfinite(track.points).any(axis=(1, 2)) | ~track.seen
    eyes[~searched] = np.nan  # between searched frames the flow knows better than a line
    eyes = eyes if searched.any() else by_box
    steady = steadied(eyes, head_motion(frames, track.boxes))
    return mean_face(steady[:, 0], steady[:, 1])


def find_landmarks(video: Path, given: Path | None = None) -> Path | None:
    """The landmark file of a video: the file given, the one in the folder given, or ``NAME.landmarks.npy`` beside it.

    In a folder it is ``NAME.npy`` or ``NAME.npz``, or the same under the name of the video's own folder (LRS3 and GRID
    repeat file names between speakers).

    Raises:
        ClipFailure: ``file_missing`` where a file or folder is given and holds nothing for this video.
    """
    if given is None:
        beside = (video.with_name(f"{video.stem}.landmarks{suffix}") for suffix in _SUFFIXES)
        return next((path for path in beside if path.is_file()), None)
    if given.is_file():
        return given
    homes = (given / video.parent.name / video.stem, given / video.stem)
    found = next((p for home in homes for s in _SUFFIXES if (p := home.with_name(f"{home.name}{s}")).is_file()), None)
    if found is None:
        raise ClipFailure(
            FailureKind.FILE_MISSING, f"no landmarks '{video.stem}.npy' or '.npz' for '{video}' in '{given}'"
        )
    return found


def read_landmarks(path: Path, frames: int, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Precomputed landmarks as five points per frame, gaps filled.

    Args:
        path: ``.npy``, or ``.npz`` with one array or one called ``landmarks``: ``(T, 68, 2)`` in dlib's order,
            ``(T, 478, 2 or 3)`` in MediaPipe's, ``(T, 5, 2)``; pixels, or fractions of the picture; NaN where a frame
            has no face. Nothing is unpickled.
        frames: of the video on the 25 fps clock.
        size: height and width of the picture, for fractions.

    Returns:
        float32 ``(frames, 5, 2)`` in pixels, and bool ``(frames,)``: where the file has a face.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` where the file holds no such array, ``duration_mismatch``
            where its length is another, ``no_face`` or ``face_lost``.
    """
    points = _array_of(path)
    if abs(len(points) - frames) > _LENGTH_TOLERANCE:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH, f"'{path}' has landmarks for {len(points)} frames, the video has {frames}"
        )
    points = points[:frames]
    points = np.concatenate([points, np.full((frames - len(points), *points.shape[1:]), np.nan, np.float32)])
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=(1, 2)))
    points[~seen] = np.nan
    check_share(seen, f"'{path}'")
    if np.nanmax(np.abs(points)) <= 2:  # fractions of the picture, as MediaPipe gives them
        points = points * np.array(size[::-1], np.float32)
    return smoothed(filled(points), _SIGMA, median=3).astype(np.float32), seen


def _array_of(path: Path) -> NDArray[np.float32]:
    if not path.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{path}' is not a file")
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                loaded = loaded[
                    "landmarks" if "landmarks" in loaded.files or len(loaded.files) != 1 else loaded.files[0]
                ]
        return five_points(np.asarray(loaded, np.float64))
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error, F2VError) as error:
        why = error.what if isinstance(error, F2VError) else error
        raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"the landmarks '{path}' cannot be read: {why}") from error
