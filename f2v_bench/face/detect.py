"""Face detection: boxes and facial points, frame by frame.

The default runs OpenCV's bundled Haar cascades (Viola and Jones 2001; Lienhart and Maydt 2002), which need no
download. MediaPipe's Face Landmarker replaces them where its package and its asset are installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from f2v_bench.assets import file_sha256, find_asset, require_asset
from f2v_bench.errors import F2VError, suggest
from f2v_bench.face.geometry import EYES_IN_BOX, to_five_points
from f2v_bench.timing import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_SIDE = 192  # px of the searched image; the smallest face is about a tenth of it
_SMALLEST_FACE = 20  # px at that scale: the window of the cascade
_EYE_STRIP = 42  # px; width of one half of a face in the eye search
# Search region of the eyes in the box of the frontal cascade, and their tolerance, in box sides.
_EYE_STRIPS = ((0.10, 0.52), (0.48, 0.90))
_EYE_ROWS = (0.18, 0.58)
_EYE_TOLERANCE = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """Face in one frame.

    Attributes:
        box: float32 ``(4,)``, x0 y0 x1 y1 in pixels.
        confidence: score in (0, 1]; comparable only between detections of the same detector.
        points: float32 ``(5, 2)``, the five points of ``geometry`` in pixels, NaN where not detected.
    """

    box: NDArray[np.float32]
    confidence: float
    points: NDArray[np.float32]


class FaceDetector(ABC):
    """Face detector of one clip; it may track faces from frame to frame."""

    name: ClassVar[str]
    #: frames between two detections while the faces do not move
    stride: ClassVar[int]
    #: True if it detects all five points, False if only some of them
    finds_all_points: ClassVar[bool]

    @classmethod
    @abstractmethod
    def signature(cls) -> str:
        """Return what determines the boxes (model, version, options) without loading the model."""

    @abstractmethod
    def detect(self, frame: NDArray[np.uint8]) -> list[Detection]:
        """Detect the faces of one frame, uint8 RGB ``(H, W, 3)``, most confident first."""

    def close(self) -> None:  # noqa: B027 - most detectors own no resources
        """Release the resources of the detector."""


class CascadeDetector(FaceDetector):
    """OpenCV's frontal cascades (``alt2``, then ``default``, then the profiles), and its eye cascade for the eyes."""

    name = "cascade"
    stride = 6
    finds_all_points = False

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2  # its stubs lack cv2.data
        self._frontal = self._load("haarcascade_frontalface_alt2")
        self._eye = self._load("haarcascade_eye")
        self._fallbacks: list[tuple[Any, bool]] | None = None

    @classmethod
    def signature(cls) -> str:
        import cv2

        return f"cascade:alt2+default+profile+eye|opencv:{cv2.__version__}|side:{_LONGEST_SIDE}|every:{cls.stride}"

    def detect(self, frame: NDArray[np.uint8]) -> list[Detection]:
        cv2 = self._cv2
        gray: Any = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, _LONGEST_SIDE / max(gray.shape))
        small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else gray
        small = self._stretched(small)
        found = self._search(self._frontal, small, neighbors=3)
        for cascade, mirrored in [] if found else self._other_views():
            image = small[:, ::-1].copy() if mirrored else small
            # more false positives on texture than alt2: more windows must agree
            found = self._search(cascade, image, neighbors=6)
            if mirrored:
                found = [((small.shape[1] - x - side, y, side), n) for (x, y, side), n in found]
            if found:
                break
        return [self._face(gray, np.array(square) / scale, n) for square, n in sorted(found, key=lambda face: -face[1])]

    def _face(self, gray: NDArray[np.uint8], square: NDArray[np.float64], agreeing: int) -> Detection:
        x, y, side = square
        points = np.full((5, 2), np.nan, np.float32)
        for index in range(2):
            eye = self._find_eye(gray, (x, y, side), index)
            if eye is not None:
                points[index] = eye
        box = np.array([x, y, x + side, y + side], np.float32)
        return Detection(box, agreeing / (agreeing + 5), points)

    def _find_eye(
        self, gray: NDArray[np.uint8], square: tuple[float, float, float], index: int
    ) -> tuple[float, float] | None:
        x, y, side = square
        left, right = (max(0, round(x + u * side)) for u in _EYE_STRIPS[index])
        top, bottom = (max(0, round(y + v * side)) for v in _EYE_ROWS)
        strip = gray[top:bottom, left:right]
        if min(strip.shape) < 8:
            return None
        zoom = _EYE_STRIP / strip.shape[1]
        strip = self._cv2.resize(self._stretched(strip), None, fx=zoom, fy=zoom, interpolation=self._cv2.INTER_LINEAR)
        found = self._search(self._eye, strip, neighbors=2, smallest=18)
        expected = np.array([x, y]) + side * EYES_IN_BOX[index]
        near = []
        for (ex, ey, size), agreeing in found:
            center = np.array([left, top]) + (np.array([ex, ey]) + size / 2) / zoom
            if np.hypot(*(center - expected)) < _EYE_TOLERANCE * side:
                near.append((agreeing, float(center[0]), float(center[1])))
        return max(near)[1:] if near else None

    def _load(self, name: str) -> Any:
        cascade = self._cv2.CascadeClassifier(f"{self._cv2.data.haarcascades}{name}.xml")
        if cascade.empty():
            raise F2VError(
                f"this OpenCV ({self._cv2.__version__}) has no {name}.xml",
                "install 'opencv-python-headless<5': version 5 dropped the cascades",
            )
        return cascade

    def _other_views(self) -> list[tuple[Any, bool]]:
        if self._fallbacks is None:
            profile = self._load("haarcascade_profileface")
            self._fallbacks = [
                (self._load("haarcascade_frontalface_default"), False),
                (profile, False),
                (profile, True),
            ]
        return self._fallbacks

    def _stretched(self, gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stretch the contrast to the full range: the cascades skip windows of low contrast."""
        stretched: NDArray[np.uint8] = self._cv2.normalize(gray, None, 0, 255, self._cv2.NORM_MINMAX)
        return stretched

    @staticmethod
    def _search(
        cascade: Any, gray: NDArray[np.uint8], neighbors: int, smallest: int = _SMALLEST_FACE
    ) -> list[tuple[tuple[int, int, int], int]]:
        """Return squares (x, y, side), each with its number of overlapping detections."""
        squares, agreeing = cascade.detectMultiScale2(gray, 1.15, neighbors, minSize=(smallest, smallest))
        return [((int(x), int(y), int(w)), int(n)) for (x, y, w, _), n in zip(squares, np.ravel(agreeing), strict=True)]


class MediaPipeDetector(FaceDetector):
    """MediaPipe's Face Landmarker in video mode: 478 points a face in every frame.

    Raises:
        F2VError: the package or the asset ``face-landmarker`` is missing.
    """

    name = "mediapipe"
    stride = 1
    finds_all_points = True

    def __init__(self) -> None:
        model = require_asset("face-landmarker")
        try:
            import mediapipe
        except ImportError as error:
            raise _mediapipe_missing() from error
        self._mediapipe = mediapipe
        vision = mediapipe.tasks.vision
        self._landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(model)),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=4,
            )
        )
        self._frames = 0

    @classmethod
    def signature(cls) -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("mediapipe")
        except PackageNotFoundError as error:
            raise _mediapipe_missing() from error
        return f"mediapipe:{number}|model:{file_sha256(require_asset('face-landmarker'))}|mode:video"

    def detect(self, frame: NDArray[np.uint8]) -> list[Detection]:
        mp = self._mediapipe
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        result = self._landmarker.detect_for_video(image, self._frames * 1000 // FPS)
        self._frames += 1
        height, width = frame.shape[:2]
        faces = [np.array([(mark.x, mark.y) for mark in face], np.float32) for face in result.face_landmarks]
        return [landmark_detection(face * np.array([width, height], np.float32)) for face in faces]

    def close(self) -> None:
        self._landmarker.close()


def landmark_detection(landmarks: NDArray[np.float32]) -> Detection:
    """Convert the landmarks of one face in pixels, ``(68 | 468 | 478, 2)``, to a box and five points."""
    box = np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]).astype(np.float32)
    return Detection(box, 1.0, to_five_points(landmarks[None])[0])


_DETECTORS: dict[str, type[FaceDetector]] = {d.name: d for d in (CascadeDetector, MediaPipeDetector)}


def get_detector(name: str = "auto") -> type[FaceDetector]:
    """Return a detector class by name; ``auto`` is MediaPipe where package and asset exist, else the cascade.

    Raises:
        F2VError: unknown name.
    """
    if name == "auto":
        name = "mediapipe" if is_mediapipe_available() else "cascade"
    if name not in _DETECTORS:
        raise F2VError(f"unknown face detector '{name}'", suggest(name, ("auto", "precomputed", *_DETECTORS)))
    return _DETECTORS[name]


def is_mediapipe_available() -> bool:
    """Return True if MediaPipe's package and its face model are installed."""
    from importlib.util import find_spec

    return find_spec("mediapipe") is not None and find_asset("face-landmarker") is not None


def _mediapipe_missing() -> F2VError:
    return F2VError(
        "the package 'mediapipe' is not installed", "run 'uv pip install mediapipe', or use the detector 'cascade'"
    )


def scan(detector: FaceDetector, frames: Iterable[NDArray[np.uint8]]) -> list[list[Detection] | None]:
    """Detect the faces of a video in as few frames as their motion allows.

    Every ``detector.stride``-th frame is searched. Where two searched frames differ in the number or position of
    faces, all frames between them are searched too, so that appearance and disappearance are exact.

    Returns:
        Faces of each frame, or None where the frame was skipped because its neighbors agree.
    """
    found: list[list[Detection] | None] = []
    pending: list[NDArray[np.uint8]] = []
    last: list[Detection] = []

    def search() -> None:
        nonlocal last
        now = detector.detect(pending[-1])
        agree = _same_faces(last, now)
        found.extend(None if agree else detector.detect(skipped) for skipped in pending[:-1])
        found.append(now)
        pending.clear()
        last = now

    for frame in frames:
        pending.append(frame)
        if not found or len(pending) == detector.stride:
            search()
    if pending:
        search()
    return found


def _same_faces(before: list[Detection], now: list[Detection]) -> bool:
    return len(before) == len(now) and all(any(overlap(a.box, b.box) > 0.5 for b in now) for a in before)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the intersection over union of two boxes, in [0, 1]."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(np.prod(sides))
    return shared / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)
