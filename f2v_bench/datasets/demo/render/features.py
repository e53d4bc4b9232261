"""Eyes, brows, nostrils and glasses of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.render.canvas import curve, fill, stroke
from f2v_bench.datasets.demo.render.face_geometry import pixels
from f2v_bench.datasets.demo.traits import Color, Face, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE: Color = (0.93, 0.92, 0.90)
_BLACK: Color = (0.07, 0.05, 0.05)
_BROW_LIFT = 0.105  # face units at brow 1
_IRIS = 0.098  # radius
_ALONG = np.linspace(-1, 1, 15)


def _bytes(color: Color) -> tuple[float, ...]:
    return (*(255 * value for value in color), 255)


def _disc(x: float, y: float, radius: float, squeeze: float = 1.0) -> NDArray[np.float32]:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return pixels(np.column_stack([x + radius * np.cos(turn), y + radius * squeeze * np.sin(turn)]))


def draw_brows(head: NDArray[np.uint8], face: Face, lift: float) -> None:
    """Draw both brows; ``lift`` 1 is one full rise, negative frowns."""
    import cv2

    left, right = pixels(np.array([[-0.95, face.brow_y - 0.34], [0.95, face.brow_y + 0.2]])).astype(int)
    patch = head[left[1] : right[1], left[0] : right[0]]
    own = patch.copy()
    t = np.linspace(0, 1, 12)
    for side in (-1.0, 1.0):
        x = side * (0.17 + 0.56 * t)
        arch = face.brow_arch * (1 + 0.6 * max(0.0, lift)) * np.sin(np.pi * (0.12 + 0.8 * t))
        inner = (0.35 * min(0.0, lift) + 0.1 * max(0.0, lift)) * (1 - t)
        y = face.brow_y - arch - _BROW_LIFT * (lift + inner) + side * face.brow_tilt * (t - 0.5) + 0.035 * t**3
        half = 0.5 * face.brow_thickness * (0.35 + 0.85 * (1 - t) ** 0.7) * np.minimum(1, 0.55 + 3 * t)
        edge = np.vstack([np.column_stack([x, y - half]), np.column_stack([x, y + half])[::-1]])
        fill(own, pixels(edge) - left, _bytes(face.brows))
    cv2.GaussianBlur(own, (0, 0), 1.3, dst=own)
    patch[:] = ((own.astype(np.uint16) * 7 + patch) // 8).astype(np.uint8)


def draw_eyes(head: NDArray[np.uint8], face: Face, opening: float, gaze: tuple[float, float], cheek: float) -> None:
    """Draw both eyes; ``opening`` 1 is relaxed, 0 shut; ``cheek`` pushes the lower lids up."""
    lid = mix(face.skin, (0.22, 0.08, 0.06), 0.42)
    bulge = (1 - _ALONG**2) ** 0.8
    for side in (-1.0, 1.0):
        x0 = side * face.eye_x
        x = x0 + _ALONG * face.eye_width
        slant = -0.012 * _ALONG * side
        height = face.eye_height * max(0.0, opening)
        upper = np.column_stack([x, -height * bulge + slant + 0.03 * (1 - min(1.0, opening)) * bulge])
        lower_height = face.eye_height * (0.55 - 0.22 * cheek) * (0.35 + 0.65 * min(1.0, opening))
        lower = np.column_stack([x, np.maximum(lower_height * bulge + slant, upper[:, 1])])
        crease = upper * [1.0, 1.0] + np.column_stack([0 * x, -0.045 - 0.03 * bulge])
        stroke(head, pixels(crease), _bytes(lid), 2)
        if opening > 0.08:
            _eyeball(head, face, np.vstack([upper, lower[::-1]]), (x0 + 0.07 * gaze[0], 0.05 * gaze[1]))
        stroke(head, pixels(lower[2:-2]), _bytes(mix(face.skin, (0.3, 0.1, 0.1), 0.45)), 1)
        stroke(head, pixels(upper), _bytes(_BLACK), 3)


def _eyeball(head: NDArray[np.uint8], face: Face, edge: NDArray[np.float64], center: tuple[float, float]) -> None:
    points = pixels(edge)
    low, high = np.floor(points.min(axis=0)).astype(int) - 2, np.ceil(points.max(axis=0)).astype(int) + 3
    patch = head[low[1] : high[1], low[0] : high[0]]
    ball = np.empty_like(patch)
    ball[:] = np.asarray(_bytes(_WHITE), np.uint8)
    ball[: ball.shape[0] // 3, :, :3] = (ball[: ball.shape[0] // 3, :, :3] * 0.82).astype(np.uint8)
    x, y = center
    fill(ball, _disc(x, y, _IRIS) - low, _bytes(mix(face.iris, _BLACK, 0.55)))
    fill(ball, _disc(x, y, _IRIS * 0.82) - low, _bytes(face.iris))
    fill(ball, _disc(x, y, _IRIS * 0.42) - low, _bytes(_BLACK))
    fill(ball, _disc(x - 0.03, y - 0.035, 0.022) - low, _bytes((1.0, 1.0, 1.0)))
    inside = np.zeros(patch.shape[:2], np.uint8)
    fill(inside, points - low, 255)
    share = inside.astype(np.uint16)[..., None]
    patch[:] = ((ball * share + patch * (255 - share) + 127) // 255).astype(np.uint8)


def draw_nostrils(head: NDArray[np.uint8], face: Face, flare: float) -> None:
    """Draw both nostrils; ``flare`` 0 to 1 widens them."""
    dark = _bytes(mix(face.skin, (0.12, 0.03, 0.03), 0.8))
    for side in (-1.0, 1.0):
        x, y = side * face.nose_width * 0.5, face.nose_y + 0.005
        fill(head, _disc(x * (1 + 0.18 * flare), y, 0.045 * (1 + 0.5 * flare), 0.5 + 0.25 * flare), dark)


def draw_glasses(head: NDArray[np.uint8], face: Face) -> None:
    """Draw the frame of the glasses, if the face has any."""
    if not face.glasses:
        return
    color = _bytes(mix(face.brows, _BLACK, 0.6))
    width, height = face.eye_width + 0.13, 0.2 if face.glasses == 1 else 0.17
    power = 1.0 if face.glasses == 1 else 0.45
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    ring = np.column_stack(
        [
            width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power,
            height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power,
        ]
    )
    for side in (-1.0, 1.0):
        stroke(head, pixels(ring + np.array([side * face.eye_x, 0.02])), color, 3, closed=True)
        temple = np.array([[side * (face.eye_x + width), -0.03], [side * face.cheek * 1.02, -0.06]])
        stroke(head, pixels(temple), color, 3)
    inner = face.eye_x - width
    stroke(head, pixels(curve([(-inner, -0.02), (0.0, -0.06), (inner, -0.02)])), color, 3)
