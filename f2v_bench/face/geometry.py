"""Five facial points, alignment templates, and similarity transforms between them.

Order of the five points in this package: left eye, right eye, nose tip, left mouth corner, right mouth corner, where
left and right are sides of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import F2VError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE_SIZE = 112  # px, ArcFace's input
LIPS_SIZE = 96  # px, the lip ROI of AV-HuBERT and Auto-AVSR
LIPS_CENTER = 88  # px, the central crop that models take as input

# The five-point template of ArcFace for 112x112 (Deng et al. 2019, as published with InsightFace).
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
# Eyes, nose tip and mouth center of the mean face in the 256x256 image that lip readers align to (mean of the 68
# landmarks over LRW published with Auto-AVSR and AV-HuBERT: means of 36-41, 42-47, 30, and 48-67).
MEAN_FACE_POINTS = np.array([[102.07, 94.27], [156.36, 93.58], [128.27, 127.70], [129.31, 157.82]], np.float32)
# The mouth corners of the same mean face (its landmarks 48 and 54).
_MEAN_FACE_CORNERS = np.array([[107.17, 157.20], [152.19, 156.99]], np.float32)
_MEAN_FACE_FIVE = np.concatenate([MEAN_FACE_POINTS[:3], _MEAN_FACE_CORNERS])

# Positions of the eyes in the box of the frontal cascade, in box sides (medians over ten GRID speakers).
EYES_IN_BOX = np.array([[0.325, 0.39], [0.67, 0.39]])

# Landmarks whose mean is each of the five points. iBUG: Sagonas et al. 2016; MediaPipe: the face mesh topology
# (eye corners, not irises, which follow the gaze).
_IBUG = (range(36, 42), range(42, 48), (30,), (48,), (54,))
_MEDIAPIPE = ((33, 133), (362, 263), (1,), (61,), (291,))
_LAYOUTS = {68: _IBUG, 468: _MEDIAPIPE, 478: _MEDIAPIPE}


def to_five_points(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Reduce landmarks ``(T, N, 2 or more)`` to five points, float32 ``(T, 5, 2)``.

    Args:
        landmarks: facial landmarks; N is 68 (dlib, iBUG), 468 or 478 (MediaPipe), or 5 (the five points).

    Raises:
        F2VError: unsupported shape.
    """
    if landmarks.ndim != 3 or landmarks.shape[1] not in {5, *_LAYOUTS} or landmarks.shape[2] < 2:
        raise F2VError(
            f"unsupported shape of landmarks {landmarks.shape}",
            "give (T, 68, 2) in dlib's order, (T, 478, 2 or 3) in MediaPipe's, or (T, 5, 2): eyes, nose, mouth corners",
        )
    flat = landmarks[:, :, :2].astype(np.float32)
    if landmarks.shape[1] == 5:
        return flat
    groups = _LAYOUTS[landmarks.shape[1]]
    return np.stack([flat[:, list(group)].mean(axis=1) for group in groups], axis=1)


def fit_mean_face(left_eye: NDArray[np.floating], right_eye: NDArray[np.floating]) -> NDArray[np.float32]:
    """Align the five points of the mean face to two eyes, each ``(T, 2)``; return float32 ``(T, 5, 2)``."""
    template = _as_complex(_MEAN_FACE_FIVE)
    eyes = _as_complex(np.stack([left_eye, right_eye], axis=1))
    rotation = (eyes[:, 1] - eyes[:, 0]) / (template[1] - template[0])  # rotation and scale
    points = eyes[:, :1] + rotation[:, None] * (template - template[0])
    return np.stack([points.real, points.imag], axis=-1).astype(np.float32)


def boxes_from_points(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the boxes of a frontal cascade for faces with points ``(T, 5, 2)``: float32 ``(T, 4)`` xyxy."""
    sides = np.linalg.norm(points[:, 1] - points[:, 0], axis=1) / (EYES_IN_BOX[1, 0] - EYES_IN_BOX[0, 0])
    corner = points[:, :2].mean(axis=1) - sides[:, None] * EYES_IN_BOX.mean(axis=0)
    return np.concatenate([corner, corner + sides[:, None]], axis=1).astype(np.float32)


def fit_similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fit similarity transforms (rotation, scale, shift) from ``source`` to ``target`` by least squares.

    Args:
        source: points ``(T, K, 2)``.
        target: points ``(K, 2)`` or ``(T, K, 2)``.

    Rerotations:
        float64 ``(T, 2, 3)``, in the convention of ``cv2.warpAffine``.
    """
    a, b = _as_complex(source), _as_complex(np.broadcast_to(target, source.shape))
    a_mean, b_mean = a.mean(axis=1, keepdims=True), b.mean(axis=1, keepdims=True)
    variance = np.maximum((np.abs(a - a_mean) ** 2).sum(axis=1), 1e-12)
    rotation = ((a - a_mean).conj() * (b - b_mean)).sum(axis=1) / variance
    shift = b_mean[:, 0] - rotation * a_mean[:, 0]
    return np.stack(
        [
            np.stack([rotation.real, -rotation.imag, shift.real], -1),
            np.stack([rotation.imag, rotation.real, shift.imag], -1),
        ],
        axis=1,
    )


def apply_transforms(transforms: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply transforms ``(T, 2, 3)`` to points ``(T, K, 2)``."""
    moved: NDArray[np.float64] = np.einsum("tij,tkj->tki", transforms[:, :, :2], points) + transforms[:, None, :, 2]
    return moved


def _as_complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]
