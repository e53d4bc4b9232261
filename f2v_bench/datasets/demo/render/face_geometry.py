"""Face geometry: face coordinates, canvas, outline of a face, and soft spots on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.render.canvas import curve, symmetric
from f2v_bench.datasets.demo.traits import Face

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 384  # side of the canvas in pixels, twice that of the video
UNIT = 108.0  # pixels of half a mean face's width
CENTER = (SIZE / 2, 184.0)  # origin of face coordinates, between the eyes
SHAPE = (SIZE, SIZE)


def pixels(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Convert face coordinates ``(n, 2)`` to canvas pixels."""
    return np.asarray(np.asarray(points) * UNIT + CENTER, np.float32)


def outline(face: Face) -> NDArray[np.float32]:
    """Return the edge of the face in face coordinates, ``(n, 2)``."""
    cheek, chin = face.cheek, face.chin
    right = [
        (0.0, -1.18),
        (0.55 * cheek, -1.06),
        (0.88 * cheek, -0.62),
        (cheek, -0.08),
        (0.955 * cheek, 0.38),
        (0.5 * (0.93 * cheek + face.jaw), 0.66),
        (face.jaw * 0.9, 0.58 * chin + 0.28),
        (0.5 * (face.jaw * 0.8 + face.chin_width), 0.89 * chin),
        (face.chin_width, 0.985 * chin),
        (0.0, chin + 0.02),
    ]
    return curve(symmetric(right), closed=True)


def grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return face coordinates x and y of every canvas pixel, ``(384, 384)`` each."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    return (x + 0.5 - CENTER[0]) / UNIT, (y + 0.5 - CENTER[1]) / UNIT


def spot(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    """Return a soft round spot in face coordinates, 1 in its middle."""
    across, down = grid()
    return np.exp(-(((across - x) / width) ** 2) - ((down - y) / height) ** 2)


def sides(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    """Return two spots, mirrored at the axis of the face."""
    return spot(x, y, width, height) + spot(-x, y, width, height)
