"""How the head moves from frame to frame, by optical flow on the upper face, where speech moves little.

Boxes of a detector tremble by a few pixels; flow (Lucas and Kanade 1981, pyramids after Bouguet 2001) is exact to a
fraction of one but drifts. ``steadied`` joins both: fast motion from the flow, slow motion from the detector.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.face.geometry import apply, similarity
from f2v_bench.face.smooth import filled, smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FACE_WIDTH = 112  # px the face is scaled to, at most, before flow is computed
_UPPER_FACE = (0.18, 0.20, 0.82, 0.62)  # x0 y0 x1 y1 in box sides: brows, eyes, nose
_MARGIN = 0.25  # of a box side around the box, for motion from one frame to the next
_MAX_POINTS = 48
_MIN_POINTS = 8
_MAX_ERROR = 1.0  # px at that scale between a point and itself tracked there and back


def head_motion(frames: Iterable[NDArray[np.uint8]], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """The similarity transform that carries each frame's head onto the next.

    Args:
        frames: uint8 RGB ``(H, W, 3)`` each, as many as boxes.
        boxes: ``(T, 4)`` xyxy, smooth.

    Returns:
        float64 ``(T, 2, 3)``: step t maps pixels of frame t-1 to frame t; step 0 is the identity. Where the flow finds
        no hold, after a cut or in the dark, the step is that of the boxes.
    """
    import cv2

    corners = boxes.reshape(-1, 2, 2)
    steps = np.tile(np.eye(2, 3), (len(boxes), 1, 1))
    steps[1:] = similarity(corners[:-1], corners[1:])
    scale = min(1.0, _FACE_WIDTH / float(np.median(boxes[:, 2] - boxes[:, 0])))
    before: Any = None
    for t, frame in enumerate(frames):
        gray: Any = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if scale < 1:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if before is not None:
            step = _flow_step(before, gray, boxes[t - 1] * scale)
            if step is not None:
                step[:, 2] /= scale
                steps[t] = step
        before = gray
    return steps


def _flow_step(
    before: NDArray[np.uint8], now: NDArray[np.uint8], box: NDArray[np.floating]
) -> NDArray[np.float64] | None:
    import cv2

    side = box[2] - box[0]
    height, width = before.shape
    x0, y0 = (max(0, int(c - _MARGIN * side)) for c in box[:2])
    x1, y1 = min(width, int(box[2] + _MARGIN * side)), min(height, int(box[3] + _MARGIN * side))
    a, b = before[y0:y1, x0:x1], now[y0:y1, x0:x1]
    if min(a.shape, default=0) < 16:
        return None
    left, top, right, bottom = (
        max(0, round(float(box[k % 2] + part * side)) - (x0, y0)[k % 2]) for k, part in enumerate(_UPPER_FACE)
    )
    mask = np.zeros(a.shape, np.uint8)
    mask[top:bottom, left:right] = 255
    points = cv2.goodFeaturesToTrack(a, _MAX_POINTS, 0.01, 4, mask=mask)
    if points is None or len(points) < _MIN_POINTS:
        return None
    window: Any = {"winSize": (15, 15), "maxLevel": 2}
    nowhere: Any = None  # OpenCV's stubs do not know that the guess may be left out
    there, _, _ = cv2.calcOpticalFlowPyrLK(a, b, points, nowhere, **window)
    back, _, _ = cv2.calcOpticalFlowPyrLK(b, a, there, nowhere, **window)
    held = np.linalg.norm(back - points, axis=2).ravel() < _MAX_ERROR
    if held.sum() < _MIN_POINTS:
        return None
    step, inliers = cv2.estimateAffinePartial2D(
        points[held], there[held], method=cv2.RANSAC, ransacReprojThreshold=0.5, maxIters=200
    )
    if step is None or inliers.sum() < _MIN_POINTS:
        return None
    # from the window's coordinates to the frame's
    origin = np.array([x0, y0], np.float64)
    step[:, 2] += origin - step[:, :2] @ origin
    out: NDArray[np.float64] = step
    return out


def steadied(
    points: NDArray[np.floating], steps: NDArray[np.float64], sigma: float = 8.0, median: int = 11
) -> NDArray[np.float64]:
    """Points that move with the flow and stay, in the long run, where the detector sees them.

    Args:
        points: ``(T, K, 2)`` as detected, NaN where they are not; every column has a value somewhere.
        steps: ``(T, 2, 3)`` as ``head_motion`` returns them.
        sigma: frames over which the detector is averaged.
        median: frames over which its outliers are thrown out.

    Returns:
        float64 ``(T, K, 2)``.
    """
    known = filled(points)
    carried = np.empty_like(known)
    carried[0] = known[0]
    for t in range(1, len(known)):
        carried[t] = apply(steps[t : t + 1], carried[t - 1 : t])[0]
    drift = filled(points - carried)
    return carried + smoothed(drift, sigma, median)
