"""Head motion between frames, by optical flow on the upper face, where speech moves little.

Boxes of a detector jitter by a few pixels. Optical flow (Lucas and Kanade 1981, pyramids after Bouguet 2001) is exact
to a fraction of a pixel but drifts. ``stabilize`` takes fast motion from the flow, slow motion from the detector.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.face.geometry import apply_transforms, fit_similarity
from f2v_bench.face.smooth import fill_gaps, smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FACE_WIDTH = 112  # px; largest width of the face for the flow
_UPPER_FACE = (0.18, 0.20, 0.82, 0.62)  # x0 y0 x1 y1 in box sides: brows, eyes, nose
_MARGIN = 0.25  # in box sides, around the box, for motion between frames
_MAX_POINTS = 48
_MIN_POINTS = 8
_MAX_ERROR = 1.0  # px at that scale; largest forward-backward error of a point


def head_motion(frames: Iterable[NDArray[np.uint8]], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Estimate the similarity transform of the head from each frame to the next.

    Args:
        frames: T frames, uint8 RGB ``(H, W, 3)``.
        boxes: face boxes ``(T, 4)``, xyxy in pixels, smoothed over time.

    Returns:
        float64 ``(T, 2, 3)``: step t maps pixels of frame t-1 to frame t; step 0 is the identity. Where the flow fails
        (a cut, darkness), the step is that of the boxes.
    """
    import cv2

    corners = boxes.reshape(-1, 2, 2)
    steps = np.tile(np.eye(2, 3), (len(boxes), 1, 1))
    steps[1:] = fit_similarity(corners[:-1], corners[1:])
    scale = min(1.0, _FACE_WIDTH / float(np.median(boxes[:, 2] - boxes[:, 0])))
    previous: Any = None
    for t, frame in enumerate(frames):
        gray: Any = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if scale < 1:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if previous is not None:
            step = _flow_step(previous, gray, boxes[t - 1] * scale)
            if step is not None:
                step[:, 2] /= scale
                steps[t] = step
        previous = gray
    return steps


def _flow_step(
    previous: NDArray[np.uint8], current: NDArray[np.uint8], box: NDArray[np.floating]
) -> NDArray[np.float64] | None:
    import cv2

    side = box[2] - box[0]
    height, width = previous.shape
    x0, y0 = (max(0, int(c - _MARGIN * side)) for c in box[:2])
    x1, y1 = min(width, int(box[2] + _MARGIN * side)), min(height, int(box[3] + _MARGIN * side))
    a, b = previous[y0:y1, x0:x1], current[y0:y1, x0:x1]
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
    no_guess: Any = None  # required by OpenCV's stubs
    moved, _, _ = cv2.calcOpticalFlowPyrLK(a, b, points, no_guess, **window)
    back, _, _ = cv2.calcOpticalFlowPyrLK(b, a, moved, no_guess, **window)
    tracked = np.linalg.norm(back - points, axis=2).ravel() < _MAX_ERROR
    if tracked.sum() < _MIN_POINTS:
        return None
    step, inliers = cv2.estimateAffinePartial2D(
        points[tracked], moved[tracked], method=cv2.RANSAC, ransacReprojThreshold=0.5, maxIters=200
    )
    if step is None or inliers.sum() < _MIN_POINTS:
        return None
    # from coordinates of the window to those of the frame
    origin = np.array([x0, y0], np.float64)
    step[:, 2] += origin - step[:, :2] @ origin
    out: NDArray[np.float64] = step
    return out


def stabilize(
    points: NDArray[np.floating], steps: NDArray[np.float64], sigma: float = 8.0, median: int = 11
) -> NDArray[np.float64]:
    """Combine the fast motion of the flow with the slow motion of detected points.

    Args:
        points: detected points ``(T, K, 2)`` in pixels, NaN where missing; every column has at least one value.
        steps: head motion ``(T, 2, 3)`` from ``head_motion``.
        sigma: standard deviation of the Gaussian over detections, in frames.
        median: width of the median over detections, in frames.

    Returns:
        float64 ``(T, K, 2)``.
    """
    detected = fill_gaps(points)
    propagated = np.empty_like(detected)
    propagated[0] = detected[0]
    for t in range(1, len(detected)):
        propagated[t] = apply_transforms(steps[t : t + 1], propagated[t - 1 : t])[0]
    drift = fill_gaps(points - propagated)
    return propagated + smooth(drift, sigma, median)
