"""What every system sees of a clip: the lip ROI and the aligned face, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
    LIPS_CENTRE,
    LIPS_SIZE,
    MEAN_FACE_POINTS,
    apply,
    boxes_of,
    similarity,
)
from f2v_bench.face.landmarks import find_landmarks, points_of, read_landmarks
from f2v_bench.face.mouth import mouth_offset, with_mouth
from f2v_bench.face.smooth import smoothed
from f2v_bench.face.track import talking_face
from f2v_bench.media import iter_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAKES_LANDMARKS = ("auto", "precomputed")
_SETTINGS = "crops:2"  # counts up whenever pixels of the crops change
_KEPT_BYTES = 400_000_000  # of decoded frames held in memory; longer videos are decoded once more per pass
_MOUTH_SIGMA = 8.0  # frames; the patch follows the mouth's place, not the opening of the lips
_MAX_SHRINK = 0.6  # scale below which a frame is averaged down before it is warped


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """The talking face of one clip on the 25 fps clock.

    Attributes:
        lips: uint8 ``(T, 96, 96)``, grey, upright, the mouth in the middle, at the scale of the 256x256 mean face.
        face: uint8 ``(T, 112, 112, 3)``, RGB, aligned to ArcFace's five-point template.
        boxes: float32 ``(T, 4)``, x0 y0 x1 y1 in pixels of the video.
        points: float32 ``(T, 5, 2)``: eyes, nose tip and mouth corners in pixels, left of the picture first.
        seen: bool ``(T,)``; elsewhere the face is where its neighbours in time say.
        detector: ``cascade``, ``mediapipe`` or ``precomputed``.
    """

    lips: NDArray[np.uint8]
    face: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    seen: NDArray[np.bool_]
    detector: str


def center_crop(lips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle 88x88 that models see, ``(T, 96, 96)`` to ``(T, 88, 88)`` (a view)."""
    edge = (LIPS_SIZE - LIPS_CENTRE) // 2
    return lips[..., edge : edge + LIPS_CENTRE, edge : edge + LIPS_CENTRE]


def face_crops(
    video: Path, *, detector: str = "auto", landmarks: Path | None = None, cache: Path | None = None
) -> FaceCrops:
    """Lip and face crops of a video, from the cache where its content and the settings are the same.

    Args:
        video: any file that ``media.iter_frames`` reads.
        detector: ``cascade``, ``mediapipe``, ``precomputed``, or ``auto``: precomputed landmarks where there are any,
            else MediaPipe where package and asset are present, else the cascade.
        landmarks: a landmark file, or a folder of them; None looks for ``NAME.landmarks.npy`` beside the video.
        cache: folder of the cache; None is ``folders.cache_folder("crops")``.

    Raises:
        ClipFailure: as ``iter_frames``, ``talking_face`` and ``read_landmarks``.
        F2VError: no such detector, what it needs is missing, landmarks are given to one that reads none, or the cache
            cannot be written.
    """
    if not video.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{video}' is not a file")
    if landmarks is not None and detector not in _TAKES_LANDMARKS:
        raise F2VError(
            f"landmarks are given as '{landmarks}', and the detector '{detector}' does not read any",
            "choose the detector 'precomputed', or leave the landmarks out",
        )
    marks = find_landmarks(video, landmarks) if detector in _TAKES_LANDMARKS else None
    cut: Callable[[_Frames], FaceCrops]
    if marks is not None:
        signature, cut = f"precomputed:{file_sha256(marks)}", partial(_from_landmarks, marks=marks)
    elif detector == "precomputed":
        raise ClipFailure(FailureKind.FILE_MISSING, f"no landmarks '{video.stem}.landmarks.npy' beside '{video}'")
    else:
        kind = get_detector(detector)
        signature, cut = kind.signature(), partial(_from_detector, kind=kind)
    store = CropCache(cache)
    key = store.key(video, f"{_SETTINGS}|{signature}")
    stored = store.load(key)
    if stored is not None:
        return FaceCrops(**stored)
    crops = cut(_Frames(video))
    store.save(key, crops)
    return crops


class _Frames:
    """The frames of a video, as often as asked: kept where they are few, decoded again where they are many."""

    def __init__(self, video: Path) -> None:
        self.video = video
        self._kept: list[NDArray[np.uint8]] = []
        self._complete = False

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        if self._complete:
            yield from self._kept
            return
        keep, size, self._kept = True, 0, []
        for frame in iter_frames(self.video):
            size += frame.nbytes
            if keep and size > _KEPT_BYTES:
                keep, self._kept = False, []
            if keep:
                self._kept.append(frame)
            yield frame
        self._complete = keep


def _from_detector(frames: _Frames, kind: type[FaceDetector]) -> FaceCrops:
    detector = kind()
    try:
        found = scan(detector, frames)
    finally:
        detector.close()
    track = talking_face(found, f"'{frames.video}'")
    points = points_of(track, kind.complete, frames)
    if not kind.complete:
        points = with_mouth(points, mouth_offset(frames, points))
    return _cut(frames, track.boxes, points, track.seen, kind.name)


def _from_landmarks(frames: _Frames, marks: Path) -> FaceCrops:
    count, size = 0, (0, 0)
    for frame in frames:
        count, size = count + 1, frame.shape[:2]
    points, seen = read_landmarks(marks, count, size)
    return _cut(frames, boxes_of(points), points, seen, "precomputed")


def _cut(
    frames: Iterable[NDArray[np.uint8]],
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
    seen: NDArray[np.bool_],
    detector: str,
) -> FaceCrops:
    import cv2

    to_lips, to_face = lip_transforms(points), similarity(points, ARCFACE_POINTS)
    lips = np.empty((len(points), LIPS_SIZE, LIPS_SIZE), np.uint8)
    face = np.empty((len(points), FACE_SIZE, FACE_SIZE, 3), np.uint8)
    for t, frame in enumerate(islice(frames, len(points))):
        lips[t] = cv2.cvtColor(warp(frame, to_lips[t], LIPS_SIZE), cv2.COLOR_RGB2GRAY)
        face[t] = warp(frame, to_face[t], FACE_SIZE)
    return FaceCrops(lips, face, boxes, points, seen, detector)


def lip_transforms(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The similarity transforms ``(T, 2, 3)`` from a video's pixels to its 96x96 lip patches.

    Turn and scale come from the points that do not speak (eyes, nose tip), as in AV-HuBERT's preparation (Shi et al.
    2022); the patch is then centred on the mouth's place, averaged over time so that it does not follow the lips.
    """
    upright = similarity(points[:, :3], MEAN_FACE_POINTS[:3])
    mouth = apply(upright, points[:, 3:]).mean(axis=1)
    upright[:, :, 2] += LIPS_SIZE / 2 - smoothed(mouth, _MOUTH_SIGMA)
    return upright


def warp(frame: NDArray[np.uint8], transform: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """A square patch of a frame, uint8 ``(size, size, 3)``; beyond the frame's edge its last pixels go on.

    Args:
        frame: uint8 RGB ``(H, W, 3)``.
        transform: ``(2, 3)``, from the frame's pixels to the patch's.
        size: pixels.
    """
    import cv2

    picture: Any = frame
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    if scale < _MAX_SHRINK:  # linear interpolation alone would skip pixels
        height, width = frame.shape[:2]
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        factor = np.array([shape[0] / width, shape[1] / height])
        picture = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)
        small = transform.copy()
        small[:, :2] /= factor
        small[:, 2] += small[:, :2] @ (0.5 - 0.5 * factor)  # centres of pixels, not their corners, coincide
        transform = small
    picture = cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    patch: NDArray[np.uint8] = picture
    return patch
