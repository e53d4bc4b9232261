"""Scene of a clip: moving person, hand-held camera, and light and background drawn for the clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.datasets.demo.expression import Expression, smooth_noise
from f2v_bench.datasets.demo.render import features, mouth
from f2v_bench.datasets.demo.render.canvas import soften, texture
from f2v_bench.datasets.demo.render.face_geometry import CENTER, SIZE, UNIT
from f2v_bench.datasets.demo.render.portrait import Light, Portrait, paint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.datasets.demo.traits import Face

VIDEO_SIZE = SIZE // 2  # side of the video in pixels; everything is drawn twice as large and averaged
_ROWS = slice(int(CENTER[1] + 0.1 * UNIT), SIZE)  # canvas rows that jaw and cheeks can move
_TURN = 0.15  # face units by which the middle of the face moves when the head turns fully
_STAGE = 256  # side of the background, larger than the video so that the camera can move


@dataclass(frozen=True, slots=True)
class Camera:
    """Camera tracks ``(frames,)``: shift in video pixels, zoom, rotation in radians."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    zoom: NDArray[np.float64]
    roll: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lighting:
    """Light of a clip over time: gain ``(frames, 3)`` per channel, gradient ``(frames, 2)``."""

    light: Light
    gain: NDArray[np.float32]
    gradient: NDArray[np.float32]


def _camera(frames: int, rng: np.random.Generator) -> Camera:
    return Camera(
        x=rng.uniform(-6, 6) + 1.3 * smooth_noise(rng, frames, 0.8),
        y=rng.uniform(-3, 4) + 1.1 * smooth_noise(rng, frames, 0.8),
        zoom=rng.uniform(0.94, 1.08) * (1 + 0.012 * smooth_noise(rng, frames, 1.2)),
        roll=rng.normal(0, 0.02) + 0.008 * smooth_noise(rng, frames, 1.0),
    )


def _lighting(frames: int, rng: np.random.Generator) -> Lighting:
    side, warmth, level = rng.uniform(-0.75, 0.75), rng.uniform(-0.07, 0.07), rng.uniform(0.86, 1.12)
    light = Light(float(side), float(rng.uniform(-0.6, -0.15)), float(rng.uniform(0, 1)))
    gain = level * (1 + 0.025 * smooth_noise(rng, frames, 0.9))
    warm = warmth + 0.012 * smooth_noise(rng, frames, 1.5)
    angle = rng.uniform(0, 2 * np.pi) + 0.5 * smooth_noise(rng, frames, 2.0)
    strength = rng.uniform(0, 0.14)
    return Lighting(
        light,
        np.column_stack([gain * (1 + warm), gain, gain * (1 - warm)]).astype(np.float32),
        (strength * np.column_stack([np.cos(angle), np.sin(angle)])).astype(np.float32),
    )


def _background(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the background, float32 RGB ``(256, 256, 3)`` in 0 to 255."""
    import cv2

    colors = rng.uniform(0.15, 0.85, (8, 1)) * rng.uniform(0.75, 1.1, (8, 3)) * 255
    y, x = np.mgrid[0:_STAGE, 0:_STAGE].astype(np.float32) / _STAGE
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)[..., None]
    picture = (colors[0] * (1 - ramp) + colors[1] * ramp).astype(np.float32)
    kind = rng.integers(4)
    if kind == 1:  # furniture: upright boxes
        for color in colors[2:]:
            left, wide, top = rng.integers(0, _STAGE), rng.integers(15, 80), rng.integers(-20, 200)
            cv2.rectangle(picture, (int(left), int(top)), (int(left + wide), _STAGE), color.tolist(), -1)
    elif kind == 2:  # lamps out of focus
        for color in colors[2:]:
            at = rng.integers(0, _STAGE, 2).tolist()
            cv2.circle(picture, at, int(rng.integers(8, 34)), np.minimum(255, color * 1.5).tolist(), -1)
    elif kind == 3:  # a wall
        grain = texture((_STAGE, _STAGE), rng, (float(rng.uniform(1, 9)), float(rng.uniform(1, 9))))
        picture += 9 * grain[..., None]
    return soften(np.clip(picture, 0, 255), float(rng.uniform(1.0, 7.0)))


class _Warp:
    """Displacement fields of one face: source pixels of a moving head."""

    def __init__(self, face: Face) -> None:
        y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
        self.x, self.y = x, y
        across, down = (x - CENTER[0]) / UNIT, (y - CENTER[1]) / UNIT
        self.depth = (
            np.exp(-((across / 0.95) ** 4) - ((down - 0.1) / 1.3) ** 4)
            + 0.45 * np.exp(-((across / 0.16) ** 2) - ((down - face.nose_y + 0.1) / 0.26) ** 2)
        ).astype(np.float32)
        across, down = across[_ROWS], down[_ROWS]
        step = np.clip((down - face.mouth_y + 0.06) / 0.34, 0, 1)
        self.jaw = step * step * (3 - 2 * step) * np.exp(-((across / (face.jaw * 1.12)) ** 6))
        sign = np.sign(across)
        beside = np.exp(-(((np.abs(across) - 0.5) / 0.22) ** 2) - ((down - face.mouth_y) / 0.24) ** 2)
        cheek = np.exp(-(((np.abs(across) - 0.64) / 0.3) ** 2) - ((down - face.mouth_y + 0.06) / 0.3) ** 2)
        self.corner = sign * beside
        self.puff = sign * cheek
        self.cheek = np.exp(-(((np.abs(across) - 0.55) / 0.28) ** 2) - ((down - 0.36) / 0.2) ** 2)

    def articulated(
        self, head: NDArray[np.uint8], drop: float, spread: float, puff: float, cheek: float
    ) -> NDArray[np.uint8]:
        """Return the head with its chin dropped (face units), lip corners drawn, and cheeks puffed or raised."""
        import cv2

        out = head.copy()
        map_x = self.x[_ROWS] - UNIT * (0.06 * spread * self.corner + 0.1 * puff * self.puff)
        map_y = self.y[_ROWS] - UNIT * (drop * self.jaw - 0.05 * cheek * self.cheek)
        out[_ROWS] = cv2.remap(head, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return out

    def posed(
        self, head: NDArray[np.uint8], to_canvas: NDArray[np.float32], yaw: float, pitch: float
    ) -> NDArray[np.uint8]:
        """Return the head turned and moved; ``to_canvas`` ``(2, 3)`` maps canvas pixels to head pixels."""
        import cv2

        x, y = self.x - yaw * _TURN * UNIT * self.depth, self.y - pitch * 0.7 * _TURN * UNIT * self.depth
        (a, b, c), (d, e, f) = to_canvas
        moved = cv2.remap(head, a * x + b * y + c, d * x + e * y + f, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(cv2.resize(moved, (VIDEO_SIZE, VIDEO_SIZE), interpolation=cv2.INTER_AREA))


def _inverse(angle: float, zoom: float, shift: tuple[float, float], center: tuple[float, float]) -> NDArray[np.float32]:
    """Return the map ``(2, 3)`` from a picture rotated and zoomed about ``center``, then shifted, to the original."""
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn = np.array([[cos, sin], [-sin, cos]])
    offset = np.asarray(center) - turn @ (np.asarray(center) + shift)
    return np.column_stack([turn, offset]).astype(np.float32)


def _over(under: NDArray[Any], layer: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(under * (1 - layer[..., 3:] * np.float32(1 / 255)) + layer[..., :3], np.float32)


def film(
    face: Face, articulation: Mapping[str, NDArray[np.float32]], expression: Expression, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Render a clip.

    Args:
        face: face of the clip.
        articulation: articulator tracks, ``(frames,)`` each.
        expression: tracks of the rest of the face.
        rng: generator of clothes, camera, light and background.

    Yields:
        Frames, uint8 RGB ``(192, 192, 3)``.
    """
    import cv2

    frames = len(expression.brow)
    camera, lighting, background = _camera(frames, rng), _lighting(frames, rng), _background(rng)
    red, green, blue = rng.uniform(0.1, 0.75, 3)
    person = paint(face, (float(red), float(green), float(blue)), lighting.light)
    warp = _Warp(face)
    y, x = np.mgrid[0:VIDEO_SIZE, 0:VIDEO_SIZE].astype(np.float32) / VIDEO_SIZE - 0.5
    body = cv2.resize(person.body, (VIDEO_SIZE, VIDEO_SIZE), interpolation=cv2.INTER_AREA)
    middle = (VIDEO_SIZE / 2, VIDEO_SIZE / 2)
    for at in range(frames):
        shift, zoom, roll = (camera.x[at], camera.y[at]), camera.zoom[at], camera.roll[at]
        view = _inverse(0.4 * roll, 1 + 0.4 * (zoom - 1), (0.4 * shift[0], 0.4 * shift[1]), middle)
        view[:, 2] += (_STAGE - VIDEO_SIZE) / 2
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (VIDEO_SIZE, VIDEO_SIZE)
        picture = cv2.warpAffine(background, view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        standing = _inverse(roll, zoom, shift, middle)
        picture = _over(picture, cv2.warpAffine(body, standing, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
        picture = _over(picture, _head(person, face, warp, articulation, expression, at, (shift, zoom, roll)))
        slope = lighting.gradient[at]
        picture *= (1 + slope[0] * x + slope[1] * y)[..., None] * lighting.gain[at]
        yield np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _head(
    person: Portrait,
    face: Face,
    warp: _Warp,
    articulation: Mapping[str, NDArray[np.float32]],
    expression: Expression,
    at: int,
    camera: tuple[tuple[float, float], float, float],
) -> NDArray[np.uint8]:
    """Render the head of frame ``at``, uint8 RGBA ``(192, 192, 4)`` premultiplied."""
    pose = {name: float(track[at]) for name, track in articulation.items()}
    lips = mouth.shape(face, pose)
    head = warp.articulated(person.head, lips.drop, pose["spread"], pose["puff"], float(expression.cheek[at]))
    features.draw_nostrils(head, face, pose["nostrils"])
    mouth.draw(head, face, lips, pose)
    gaze = (float(expression.gaze_x[at]), float(expression.gaze_y[at]))
    features.draw_eyes(head, face, float(expression.lid[at]), gaze, float(expression.cheek[at]))
    features.draw_brows(head, face, float(expression.brow[at]))
    features.draw_glasses(head, face)
    shift, zoom, roll = camera
    # a head turns about the joint of the neck
    joint = (CENTER[0], CENTER[1] + 1.0 * UNIT)
    own = _inverse(float(expression.roll[at]), 1.0, (0.0, float(expression.bob[at]) * UNIT), joint)
    view = _inverse(roll, zoom, (2 * shift[0], 2 * shift[1]), (SIZE / 2, SIZE / 2))
    to_canvas = np.column_stack([own[:, :2] @ view[:, :2], own[:, :2] @ view[:, 2] + own[:, 2]]).astype(np.float32)
    return warp.posed(head, to_canvas, float(expression.yaw[at]), float(expression.pitch[at]))
