"""Synthetic videos of a drawn face that the cascades detect."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

EYES = np.array([[-0.19, -0.11], [0.19, -0.11]])  # in face widths from the center of the face
MOUTH = np.array([0.0, 0.31])


def draw_face(
    picture: NDArray[np.uint8], center: tuple[float, float], width: float, opening: float = 0.0, roll_deg: float = 0.0
) -> None:
    """Draw a face of this width into uint8 RGB ``(H, W, 3)``; ``opening`` of the mouth in [0, 1]."""
    turn = np.deg2rad(roll_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def blob(x: float, y: float, a: float, b: float, color: tuple[int, int, int]) -> None:
        at = np.array(center) + width * (matrix @ np.array([x, y]))
        axes = (max(1, int(16 * a * width)), max(1, int(16 * b * width)))
        spot: Any = (round(16 * at[0]), round(16 * at[1]))
        cv2.ellipse(picture, spot, axes, roll_deg, 0, 360, color, -1, cv2.LINE_AA, 4)

    blob(0, -0.12, 0.56, 0.66, (60, 42, 30))  # hair
    blob(0, 0.04, 0.48, 0.62, (214, 170, 140))
    for x, y in EYES:
        blob(x, y - 0.02, 0.125, 0.085, (172, 128, 104))  # socket
        blob(x, y - 0.11, 0.12, 0.022, (70, 48, 36))  # brow
        blob(x, y, 0.085, 0.036, (240, 236, 230))
        blob(x, y, 0.036, 0.036, (48, 36, 30))
    blob(0.0, 0.06, 0.035, 0.13, (228, 186, 156))  # nose
    blob(-0.05, 0.165, 0.024, 0.014, (130, 84, 68))
    blob(0.05, 0.165, 0.024, 0.014, (130, 84, 68))
    x, y = MOUTH
    blob(x, y, 0.15, 0.04 + 0.05 * opening, (164, 82, 80))
    blob(x, y, 0.12, 0.008 + 0.06 * opening, (70, 24, 26))


def talking(
    count: int, size: tuple[int, int] = (160, 192), width: float = 70, noise: float = 3.0
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Return frames of a talking head that sways, and its centers in pixels, ``(count, 2)``."""
    generator = np.random.default_rng(7)
    t = np.arange(count)
    middle = np.array(size[::-1]) / 2
    centers = middle + np.stack([6 * np.sin(t / 9), 3 * np.sin(t / 7 + 1)], axis=1)
    opening = 0.5 - 0.5 * np.cos(t * 1.1)
    frames = []
    for center, mouth in zip(centers, opening, strict=True):
        picture = empty(size)
        draw_face(picture, (float(center[0]), float(center[1])), width, float(mouth))
        picture = cv2.GaussianBlur(picture, (3, 3), 0.8).astype(np.uint8)
        frames.append(np.clip(picture + generator.normal(0, noise, picture.shape), 0, 255).astype(np.uint8))
    return frames, centers


def empty(size: tuple[int, int] = (160, 192)) -> NDArray[np.uint8]:
    """Return the background: a smooth brightness gradient."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    light = 120 + 40 * rows / size[0] + 20 * columns / size[1]
    return np.stack([light * 0.8, light, light * 1.1], axis=-1).astype(np.uint8)
