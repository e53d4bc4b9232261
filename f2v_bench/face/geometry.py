"""The five points of a face, the templates faces are aligned to, and the similarity transforms between them.

Order of the five points everywhere in this room: the eye at the left of the picture, the eye at its right, nose tip,
the mouth corner at the left, the mouth corner at the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import F2VError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE_SIZE = 112  # px, ArcFace's input
LIPS_SIZE = 96  # px, the lip ROI of AV-HuBERT and Auto-AVSR
LIPS_CENTRE = 88  # px of it that models see

# The five-point template of ArcFace for 112x112 (Deng et al. 2019, as published with InsightFace).
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
# Eyes, nose tip and mouth centre of the mean face in a 256x256 picture that lip readers align to (the mean of the 68
# landmarks over LRW published with Auto-AVSR and AV-HuBERT: means of 36-41, 42-47, 30, and 48-67).
MEAN_FACE_POINTS = np.array([[102.07, 94.27], [156.36, 93.58], [128.27, 127.70], [129.31, 157.82]], np.float32)
# The mouth corners of the same mean face (its landmarks 48 and 54).
_MEAN_FACE_CORNERS = np.array([[107.17, 157.20], [152.19, 156.99]], np.float32)
_MEAN_FACE_FIVE = np.concatenate([MEAN_FACE_POINTS[:3], _MEAN_FACE_CORNERS])

# Where the frontal cascade's box holds the eyes, in box sides (medians over ten GRID speakers).
EYES_IN_BOX = np.array([[0.325, 0.39], [0.67, 0.39]])

# Which landmarks average to each of the five points. iBUG: Sagonas et al. 2016; MediaPipe: the face mesh topology
# (eye corners, not irises: those follow the gaze).
_IBUG = (range(36, 42), range(42, 48), (30,), (48,), (54,))
_MEDIAPIPE = ((33, 133), (362, 263), (1,), (61,), (291,))
_LAYOUTS = {68: _IBUG, 468: _MEDIAPIPE, 478: _MEDIAPIPE}


def five_points(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """The five points of ``(T, N, 2 or more)`` landmarks, float32 ``(T, 5, 2)``.

    Args:
        landmarks: N is 68 (dlib, iBUG), 468 or 478 (MediaPipe), or 5 (the five points themselves).

    Raises:
        F2VError: another shape.
    """
    if landmarks.ndim != 3 or landmarks.shape[1] not in {5, *_LAYOUTS} or landmarks.shape[2] < 2:
        raise F2VError(
            f"landmarks have the shape {landmarks.shape}",
            "give (T, 68, 2) in dlib's order, (T, 478, 2 or 3) in MediaPipe's, or (T, 5, 2): eyes, nose, mouth corners",
        )
    flat = landmarks[:, :, :2].astype(np.float32)
    if landmarks.shape[1] == 5:
        return flat
    groups = _LAYOUTS[landmarks.shape[1]]
    return np.stack([flat[:, list(group)].mean(axis=1) for group in groups], axis=1)


def mean_face(left_eye: NDArray[np.floating], right_eye: NDArray[np.floating]) -> NDArray[np.float32]:
    """The mean face's five points laid onto two eyes, each ``(T, 2)``: float32 ``(T, 5, 2)``."""
    from_eyes = _as_complex(_MEAN_FACE_FIVE)
    ours = _as_complex(np.stack([left_eye, right_eye], axis=1))
    turn = (ours[:, 1] - ours[:, 0]) / (from_eyes[1] - from_eyes[0])
    placed = ours[:, :1] + turn[:, None] * (from_eyes - from_eyes[0])
    return np.stack([placed.real, placed.imag], axis=-1).astype(np.float32)


def boxes_of(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """The boxes a frontal cascade would draw around faces of ``(T, 5, 2)`` points: float32 ``(T, 4)`` xyxy."""
    sides = np.linalg.norm(points[:, 1] - points[:, 0], axis=1) / (EYES_IN_BOX[1, 0] - EYES_IN_BOX[0, 0])
    corner = points[:, :2].mean(axis=1) - sides[:, None] * EYES_IN_BOX.mean(axis=0)
    return np.concatenate([corner, corner + sides[:, None]], axis=1).astype(np.float32)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The similarity transforms (turn, scale, shift) that bring ``source`` nearest to ``target``, in least squares.

    Args:
        source: ``(T, K, 2)``.
        target: ``(K, 2)`` or ``(T, K, 2)``.

    Returns:
        float64 ``(T, 2, 3)``, as ``cv2.warpAffine`` takes them.
    """
    a, b = _as_complex(source), _as_complex(np.broadcast_to(target, source.shape))
    a_mean, b_mean = a.mean(axis=1, keepdims=True), b.mean(axis=1, keepdims=True)
    spread = np.maximum((np.abs(a - a_mean) ** 2).sum(axis=1), 1e-12)
    turn = ((a - a_mean).conj() * (b - b_mean)).sum(axis=1) / spread
    shift = b_mean[:, 0] - turn * a_mean[:, 0]
    return np.stack(
        [np.stack([turn.real, -turn.imag, shift.real], -1), np.stack([turn.imag, turn.real, shift.imag], -1)], axis=1
    )


def apply(transforms: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(T, 2, 3)`` transforms on ``(T, K, 2)`` points."""
    moved: NDArray[np.float64] = np.einsum("tij,tkj->tki", transforms[:, :, :2], points) + transforms[:, None, :, 2]
    return moved


def _as_complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]
