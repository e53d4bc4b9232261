"""Lip ROI and aligned face of every frame: the input of every system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.assets import file_sha256
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.face.cache import CropCache
from f2v_bench.face.detect import FaceDetector, get_detector, scan
from f2v_bench.face.geometry import (
    ARCFACE_POINTS,
    FACE_SIZE,
    LIPS_CENTER,
    LIPS_SIZE,
    MEAN_FACE_POINTS,
    apply_transforms,
    boxes_from_points,
    fit_similarity,
)
from f2v_bench.face.landmarks import find_landmarks, read_landmarks, track_points
from f2v_bench.face.mouth import mouth_offset, shift_mouth
from f2v_bench.face.records import FaceCrops
from f2v_bench.face.smooth import smooth
from f2v_bench.face.track import select_talking_face
from f2v_bench.media import iter_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAKES_LANDMARKS = ("auto", "precomputed")
_SETTINGS = "crops:2"  # incremented whenever pixels of the crops change
_MAX_BUFFER_BYTES = 400_000_000  # decoded frames in memory; longer videos are decoded again for every pass
_MOUTH_SIGMA = 8.0  # frames; the patch follows the position of the mouth, not the opening of the lips
_MAX_SHRINK = 0.6  # scale below which a frame is downsampled by averaging before the warp


def center_crop(lips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop the central 88x88 pixels, the input of models: ``(T, 96, 96)`` to ``(T, 88, 88)``, a view."""
    edge = (LIPS_SIZE - LIPS_CENTER) // 2
    return lips[..., edge : edge + LIPS_CENTER, edge : edge + LIPS_CENTER]


def face_crops(
    video: Path, *, detector: str = "auto", landmarks: Path | None = None, cache: Path | None = None
) -> FaceCrops:
    """Return the lip and face crops of a video, from the cache where content and settings match.

    Args:
        video: video file in any format of ``media.iter_frames``.
        detector: ``cascade``, ``mediapipe``, ``precomputed``, or ``auto``: precomputed landmarks where they exist,
            else MediaPipe where package and asset are installed, else the cascade.
        landmarks: landmark file, or a folder of them; None is ``NAME.landmarks.npy`` beside the video.
        cache: cache folder; None is ``cache_folder("crops")``.

    Raises:
        ClipFailure: as ``iter_frames``, ``select_talking_face`` and ``read_landmarks``.
        F2VError: unknown detector, missing package or asset, landmarks passed to a detector that does not use them, or
            a cache that cannot be written.
    """
    if not video.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{video}' is not a file")
    if landmarks is not None and detector not in _TAKES_LANDMARKS:
        raise F2VError(
            f"the detector '{detector}' does not use landmarks, got '{landmarks}'",
            "choose the detector 'precomputed', or omit the landmarks",
        )
    marks = find_landmarks(video, landmarks) if detector in _TAKES_LANDMARKS else None
    crop: Callable[[_Frames], FaceCrops]
    if marks is not None:
        signature, crop = f"precomputed:{file_sha256(marks)}", partial(_from_landmarks, marks=marks)
    elif detector == "precomputed":
        raise ClipFailure(
            FailureKind.FILE_MISSING, f"'{video}' has no landmark file '{video.stem}.landmarks.npy' beside it"
        )
    else:
        kind = get_detector(detector)
        signature, crop = kind.signature(), partial(_from_detector, kind=kind)
    store = CropCache(cache)
    key = store.key(video, f"{_SETTINGS}|{signature}")
    stored = store.load(key)
    if stored is not None:
        return FaceCrops(**stored)
    crops = crop(_Frames(video))
    store.save(key, crops)
    return crops


class _Frames:
    """Frames of a video for several passes: buffered where they fit in memory, else decoded again."""

    def __init__(self, video: Path) -> None:
        self.video = video
        self._buffer: list[NDArray[np.uint8]] = []
        self._is_complete = False

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        if self._is_complete:
            yield from self._buffer
            return
        fits, size, self._buffer = True, 0, []
        for frame in iter_frames(self.video):
            size += frame.nbytes
            if fits and size > _MAX_BUFFER_BYTES:
                fits, self._buffer = False, []
            if fits:
                self._buffer.append(frame)
            yield frame
        self._is_complete = fits


def _from_detector(frames: _Frames, kind: type[FaceDetector]) -> FaceCrops:
    detector = kind()
    try:
        detections = scan(detector, frames)
    finally:
        detector.close()
    track = select_talking_face(detections, f"'{frames.video}'")
    points = track_points(track, kind.finds_all_points, frames)
    if not kind.finds_all_points:
        points = shift_mouth(points, mouth_offset(frames, points))
    return _crop(frames, track.boxes, points, track.visible, kind.name)


def _from_landmarks(frames: _Frames, marks: Path) -> FaceCrops:
    count, size = 0, (0, 0)
    for frame in frames:
        count, size = count + 1, frame.shape[:2]
    points, visible = read_landmarks(marks, count, size)
    return _crop(frames, boxes_from_points(points), points, visible, "precomputed")


def _crop(
    frames: Iterable[NDArray[np.uint8]],
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
    visible: NDArray[np.bool_],
    detector: str,
) -> FaceCrops:
    import cv2

    to_lips, to_face = lip_transforms(points), fit_similarity(points, ARCFACE_POINTS)
    lips = np.empty((len(points), LIPS_SIZE, LIPS_SIZE), np.uint8)
    face = np.empty((len(points), FACE_SIZE, FACE_SIZE, 3), np.uint8)
    for t, frame in enumerate(islice(frames, len(points))):
        lips[t] = cv2.cvtColor(warp(frame, to_lips[t], LIPS_SIZE), cv2.COLOR_RGB2GRAY)
        face[t] = warp(frame, to_face[t], FACE_SIZE)
    return FaceCrops(lips, face, boxes, points, visible, detector)


def lip_transforms(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the similarity transforms ``(T, 2, 3)`` from pixels of the video to 96x96 lip patches.

    Rotation and scale come from the points that speech does not move (eyes, nose tip), as in the preprocessing of
    AV-HuBERT (Shi et al. 2022). The patch is centered on the mean position of the mouth over time, so that it does not
    follow the lips.
    """
    upright = fit_similarity(points[:, :3], MEAN_FACE_POINTS[:3])
    mouth = apply_transforms(upright, points[:, 3:]).mean(axis=1)
    upright[:, :, 2] += LIPS_SIZE / 2 - smooth(mouth, _MOUTH_SIGMA)
    return upright


def warp(frame: NDArray[np.uint8], transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Warp a frame to a square patch, uint8 ``(size, size, 3)``; beyond the frame its border pixels repeat.

    Args:
        frame: uint8 RGB ``(H, W, 3)``.
        transform: similarity ``(2, 3)`` from pixels of the frame to pixels of the patch.
        size: side of the patch in pixels.
    """
    import cv2

    image: Any = frame
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    if scale < _MAX_SHRINK:  # linear interpolation alone would skip pixels
        height, width = frame.shape[:2]
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        factor = np.array([shape[0] / width, shape[1] / height])
        image = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)
        small = transform.copy()
        small[:, :2] /= factor
        small[:, 2] += small[:, :2] @ (0.5 - 0.5 * factor)  # aligns the centers of pixels, not their corners
        transform = small
    image = cv2.warpAffine(image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    patch: NDArray[np.uint8] = image
    return patch
