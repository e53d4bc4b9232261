"""Position of the mouth: that of the mean face, corrected by the motion that remains after head stabilization."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.face.geometry import MEAN_FACE_POINTS, fit_similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW = 64  # mean-face px; window around the expected mouth
_REACH = 18.0  # mean-face px; largest offset from the expected position
_FRAMES = 1500  # one minute is enough
_KERNEL = 11.0  # mean-face px: wide enough for the lips, too narrow for chin and nose
_DROP = 2.5  # mean-face px from the mouth center down to the center of motion: the jaw moves the lower lip
_STILL = 0.2  # gray levels a frame above the surrounding skin; less is noise


def mouth_offset(frames: Iterable[NDArray[np.uint8]], points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Estimate the offset of the mouth from its position in the mean face.

    The eyes stabilize the head; the motion that remains below them is that of the lips. A mean shift (Comaniciu and
    Meer 2002) leads from the expected position to the center of that motion.

    Args:
        frames: T frames, uint8 RGB ``(H, W, 3)``.
        points: facial points, float32 ``(T, 5, 2)`` in pixels; only the eyes are used.

    Returns:
        float64 ``(2,)``: right and down, in pixels of the mean face (256x256); zero for a static image.
    """
    import cv2

    to_mean = fit_similarity(points[:_FRAMES, :2], MEAN_FACE_POINTS[:2])
    to_mean[:, :, 2] -= MEAN_FACE_POINTS[3] - _WINDOW / 2
    motion = np.zeros((_WINDOW, _WINDOW))
    previous: Any = None
    for frame, transform in zip(islice(frames, _FRAMES), to_mean, strict=True):
        patch: Any = cv2.cvtColor(cv2.warpAffine(frame, transform, (_WINDOW, _WINDOW)), cv2.COLOR_RGB2GRAY)
        patch = cv2.GaussianBlur(patch, (5, 5), 1.0)
        if previous is not None:
            motion += cv2.absdiff(patch, previous)
        previous = patch
    motion /= max(1, len(to_mean) - 1)
    motion = np.maximum(motion - np.median(motion) - _STILL, 0)  # noise is everywhere, lip motion only here
    return _mean_shift(motion)


def _mean_shift(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: motion.shape[0], : motion.shape[1]] - (motion.shape[0] - 1) / 2
    center = np.zeros(2)
    for _ in range(30):
        weight = motion * np.exp(-((columns - center[0]) ** 2 + (rows - center[1]) ** 2) / (2 * _KERNEL**2))
        total = weight.sum()
        if total < 1e-6:
            return np.zeros(2)
        step = np.array([(weight * columns).sum(), (weight * rows).sum()]) / total - center
        center += step
        if np.abs(step).max() < 0.05:
            break
    center[1] -= _DROP
    reach = float(np.hypot(*center))
    return center * min(1.0, _REACH / reach) if reach else center


def shift_mouth(points: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    """Shift the mouth of five points by an offset in mean-face pixels, and the nose by half of it."""
    to_mean = fit_similarity(points[:, :2], MEAN_FACE_POINTS[:2])
    rotation = to_mean[:, 0, 0] + 1j * to_mean[:, 1, 0]
    shift = (offset[0] + 1j * offset[1]) / rotation
    moved = points.copy()
    step = np.stack([shift.real, shift.imag], axis=-1)[:, None]
    moved[:, 3:] += step
    moved[:, 2:3] += 0.5 * step
    return moved
