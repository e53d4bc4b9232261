"""Drawing primitives with smooth curves and soft masks on float pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.datasets.demo.traits import Color

_SHIFT = 4  # cv2 takes coordinates in 1/16 pixel


def curve(points: Sequence[tuple[float, float]], *, closed: bool = False, steps: int = 10) -> NDArray[np.float32]:
    """Return a Catmull-Rom curve through the points, ``(n, 2)``."""
    knots = np.asarray(points, np.float64)
    ring = np.vstack([knots[-1], knots, knots[:2]]) if closed else np.vstack([knots[0], knots, knots[-1]])
    p0, p1, p2, p3 = ring[:-3], ring[1:-2], ring[2:-1], ring[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    segments = 0.5 * (
        2 * p1[:, None]
        + (p2 - p0)[:, None] * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3)[:, None] * t**2
        + (3 * p1 - p0 - 3 * p2 + p3)[:, None] * t**3
    )
    line = segments.reshape(-1, 2)
    return np.asarray(line if closed else np.vstack([line, knots[-1:]]), np.float32)


def symmetric(right: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a closed outline from its right half, top to bottom, without duplicate points on the axis."""
    return [*right, *((-x, y) for x, y in reversed(right) if x > 0)]


def fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Convert points to the fixed-point coordinates of cv2, 1/16 pixel."""
    return np.round(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)


def fill(picture: NDArray[np.uint8], points: NDArray[np.floating], color: Sequence[float] | float) -> None:
    """Fill a polygon in place, anti-aliased."""
    import cv2

    cv2.fillPoly(picture, [fixed(points)], color, lineType=cv2.LINE_AA, shift=_SHIFT)


def stroke(
    picture: NDArray[np.uint8],
    points: NDArray[np.floating],
    color: Sequence[float] | float,
    width: int,
    *,
    closed: bool = False,
) -> None:
    """Draw a line in place, anti-aliased."""
    import cv2

    cv2.polylines(picture, [fixed(points)], closed, color, width, lineType=cv2.LINE_AA, shift=_SHIFT)


def mask(shape: tuple[int, int], points: NDArray[np.floating], blur: float = 0.0) -> NDArray[np.float32]:
    """Return a polygon as a mask, 0 to 1, blurred by a Gaussian of ``blur`` pixels."""
    out = np.zeros(shape, np.uint8)
    fill(out, points, 255)
    return soften(np.asarray(out, np.float32) / np.float32(255), blur)


def line_mask(
    shape: tuple[int, int], points: NDArray[np.floating], width: int, blur: float, *, closed: bool = False
) -> NDArray[np.float32]:
    """Return a line as a mask, 0 to 1, blurred by a Gaussian of ``blur`` pixels."""
    out = np.zeros(shape, np.uint8)
    stroke(out, points, 255, width, closed=closed)
    return soften(np.asarray(out, np.float32) / np.float32(255), blur)


def soften(picture: NDArray[np.floating], blur: float) -> NDArray[np.float32]:
    """Blur a picture by a Gaussian of ``blur`` pixels; 0 leaves it unchanged."""
    import cv2

    return np.asarray(cv2.GaussianBlur(picture, (0, 0), blur) if blur > 0 else picture, np.float32)


def blend(picture: NDArray[np.float32], color: Color | NDArray[np.float32], amount: NDArray[np.floating]) -> None:
    """Mix a color (or a picture) into a float RGB picture in place."""
    picture += (np.asarray(color, np.float32) - picture) * amount[..., None]


def texture(shape: tuple[int, int], rng: np.random.Generator, fine: tuple[float, float]) -> NDArray[np.float32]:
    """Return noise of zero mean and unit variance, blurred by ``fine`` pixels across and down."""
    import cv2

    white = rng.standard_normal(shape, np.float32)
    noise = cv2.GaussianBlur(white, (0, 0), sigmaX=max(0.1, fine[0]), sigmaY=max(0.1, fine[1]))
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-6), np.float32)
