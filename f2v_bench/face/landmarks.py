"""Facial points of every frame: from a detector's points, from the eyes of the cascade, or from a file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.face.geometry import EYES_IN_BOX, fit_mean_face, to_five_points
from f2v_bench.face.motion import head_motion, stabilize
from f2v_bench.face.smooth import fill_gaps, smooth
from f2v_bench.face.track import FaceTrack, check_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUFFIXES = (".npy", ".npz")
_LENGTH_TOLERANCE = 2  # frames; allowed difference in length between landmark file and video
_SIGMA = 1.0  # frames; removes the jitter of per-frame landmarks and keeps the motion of the head


def track_points(track: FaceTrack, complete: bool, frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return the five points of the tracked face in every frame, float32 ``(T, 5, 2)``.

    Args:
        track: face track from ``select_talking_face``.
        complete: True if the detector finds all five points; otherwise the mean face is aligned to the eyes.
        frames: frames of the clip, uint8 RGB ``(H, W, 3)``; read only for incomplete points.
    """
    if complete:
        return smooth(fill_gaps(track.points), _SIGMA, median=3).astype(np.float32)
    sides = (track.boxes[:, 2] - track.boxes[:, 0])[:, None, None]
    in_box = (track.points[:, :2] - track.boxes[:, None, :2]) / sides
    usual = EYES_IN_BOX.copy()  # for frames without detected eyes
    for eye in range(2):
        if np.isfinite(in_box[:, eye]).any():
            usual[eye] = np.nanmedian(in_box[:, eye], axis=0)
    by_box = track.boxes[:, None, :2] + usual * sides
    both = np.isfinite(in_box).all(axis=(1, 2), keepdims=True)
    eyes = np.where(both, track.points[:, :2], by_box)
    searched = np.isfinite(track.points).any(axis=(1, 2)) | ~track.visible
    eyes[~searched] = np.nan  # between searched frames optical flow is more exact than interpolation
    eyes = eyes if searched.any() else by_box
    steady = stabilize(eyes, head_motion(frames, track.boxes))
    return fit_mean_face(steady[:, 0], steady[:, 1])


def find_landmarks(video: Path, given: Path | None = None) -> Path | None:
    """Find the landmark file of a video: a given file, one in a given folder, or ``NAME.landmarks.npy`` beside it.

    Candidates in a folder are ``NAME.npy`` and ``NAME.npz``, first below the name of the video's own folder (LRS3 and
    GRID repeat file names between speakers).

    Raises:
        ClipFailure: ``file_missing``: the given folder has no landmarks of this video.
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
    """Read precomputed landmarks as five points per frame, gaps filled.

    Args:
        path: ``.npy``, or ``.npz`` with one array or one named ``landmarks``: ``(T, 68, 2)`` in the order of dlib,
            ``(T, 478, 2 or 3)`` in that of MediaPipe, or ``(T, 5, 2)``; pixels, or fractions of the image size; NaN for
            frames without a face. Pickled objects are refused.
        frames: number of frames of the video at 25 fps.
        size: height and width of the image in pixels, for fractions.

    Returns:
        float32 ``(frames, 5, 2)`` in pixels, and bool ``(frames,)``, True where the file has a face.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` for a file without such an array, ``duration_mismatch`` for
            another length, ``no_face`` or ``face_lost``.
    """
    points = _load_points(path)
    if abs(len(points) - frames) > _LENGTH_TOLERANCE:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH, f"'{path}' has landmarks for {len(points)} frames, the video has {frames}"
        )
    points = points[:frames]
    points = np.concatenate([points, np.full((frames - len(points), *points.shape[1:]), np.nan, np.float32)])
    visible: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=(1, 2)))
    points[~visible] = np.nan
    check_share(visible, f"'{path}'")
    if np.nanmax(np.abs(points)) <= 2:  # fractions of the image size, the output of MediaPipe
        points = points * np.array(size[::-1], np.float32)
    return smooth(fill_gaps(points), _SIGMA, median=3).astype(np.float32), visible


def _load_points(path: Path) -> NDArray[np.float32]:
    if not path.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{path}' is not a file")
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                loaded = loaded[
                    "landmarks" if "landmarks" in loaded.files or len(loaded.files) != 1 else loaded.files[0]
                ]
        return to_five_points(np.asarray(loaded, np.float64))
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error, F2VError) as error:
        why = error.what if isinstance(error, F2VError) else error
        raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"the landmarks '{path}' cannot be read: {why}") from error
