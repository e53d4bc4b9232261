"""Where this speaker's mouth is: the mean face's place, corrected by where the picture moves while the head is held."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.face.geometry import MEAN_FACE_POINTS, similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW = 64  # mean-face px around the expected mouth in which motion counts
_REACH = 18.0  # mean-face px the mouth may lie off its usual place
_FRAMES = 1500  # a minute of talking is enough
_KERNEL = 11.0  # mean-face px: the mean shift sees lips, and neither chin nor nose
_DROP = 2.5  # mean-face px by which motion lies below the middle of the mouth: the jaw moves the lower lip
_STILL = 0.2  # grey levels a frame above the skin around; less is noise


def mouth_offset(frames: Iterable[NDArray[np.uint8]], points: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the mouth lies from where the mean face puts it.

    The head is held still by its eyes; what still moves below them are the lips. A mean shift (Comaniciu and Meer
    2002) climbs from the usual place to the centre of that motion.

    Args:
        frames: uint8 RGB ``(H, W, 3)`` each.
        points: float32 ``(T, 5, 2)``, of which the eyes are used.

    Returns:
        float64 ``(2,)``: right and down, in pixels of the mean face (256x256); zero where nothing moves.
    """
    import cv2

    to_mean = similarity(points[:_FRAMES, :2], MEAN_FACE_POINTS[:2])
    to_mean[:, :, 2] -= MEAN_FACE_POINTS[3] - _WINDOW / 2
    motion = np.zeros((_WINDOW, _WINDOW))
    before: Any = None
    for frame, transform in zip(islice(frames, _FRAMES), to_mean, strict=True):
        patch: Any = cv2.cvtColor(cv2.warpAffine(frame, transform, (_WINDOW, _WINDOW)), cv2.COLOR_RGB2GRAY)
        patch = cv2.GaussianBlur(patch, (5, 5), 1.0)
        if before is not None:
            motion += cv2.absdiff(patch, before)
        before = patch
    motion /= max(1, len(to_mean) - 1)
    motion = np.maximum(motion - np.median(motion) - _STILL, 0)  # noise moves everywhere, lips only here
    return _mean_shift(motion)


def _mean_shift(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: motion.shape[0], : motion.shape[1]] - (motion.shape[0] - 1) / 2
    at = np.zeros(2)
    for _ in range(30):
        weight = motion * np.exp(-((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / (2 * _KERNEL**2))
        total = weight.sum()
        if total < 1e-6:
            return np.zeros(2)
        step = np.array([(weight * columns).sum(), (weight * rows).sum()]) / total - at
        at += step
        if np.abs(step).max() < 0.05:
            break
    at[1] -= _DROP
    reach = float(np.hypot(*at))
    return at * min(1.0, _REACH / reach) if reach else at


def with_mouth(points: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    """The five points with the mouth moved by an offset in mean-face pixels, and the nose by half of its drop."""
    to_mean = similarity(points[:, :2], MEAN_FACE_POINTS[:2])
    turn = to_mean[:, 0, 0] + 1j * to_mean[:, 1, 0]
    shift = (offset[0] + 1j * offset[1]) / turn
    moved = points.copy()
    step = np.stack([shift.real, shift.imag], axis=-1)[:, None]
    moved[:, 3:] += step
    moved[:, 2:3] += 0.5 * step
    return moved
