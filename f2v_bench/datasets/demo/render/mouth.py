"""Mouth of one frame: lips, teeth and tongue from the articulators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.render.canvas import curve, fill, stroke
from f2v_bench.datasets.demo.render.face_geometry import CENTER, SIZE, UNIT, pixels
from f2v_bench.datasets.demo.traits import Color, Face, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDEST = 0.46  # opening between the lips at aperture 1, in face units
_RAISED = 0.2  # share of the opening by which the upper lip rises
_TEETH: Color = (0.95, 0.93, 0.88)
_DARK: Color = (0.19, 0.05, 0.06)
_TONGUE: Color = (0.80, 0.36, 0.37)
_ALONG = np.linspace(-1, 1, 33)


@dataclass(frozen=True, slots=True)
class MouthShape:
    """Contours of the lips, in face units.

    Attributes:
        inner_upper, inner_lower, outer_upper, outer_lower: lines from the left to the right corner, ``(33, 2)``.
        gap: opening at the middle.
        drop: downward shift of the chin by the jaw.
    """

    inner_upper: NDArray[np.float64]
    inner_lower: NDArray[np.float64]
    outer_upper: NDArray[np.float64]
    outer_lower: NDArray[np.float64]
    gap: float
    drop: float


def shape(face: Face, pose: Mapping[str, float]) -> MouthShape:
    """Return the lip contours for the articulators of one frame (names of ``visemes.ARTICULATORS``)."""
    spread, round_, tuck, closed = pose["spread"], pose["protrusion"], pose["tuck"], pose["closure"]
    opening = _WIDEST * max(0.0, pose["aperture"]) * (1 - closed)
    width = face.mouth_width * (1 + (0.2 if spread > 0 else 0.4) * spread)
    up = _RAISED * opening + 0.04 * tuck
    down = (1 - _RAISED) * opening * (1 - 0.9 * tuck) - 0.012 * tuck
    corner = face.mouth_y + 0.3 * max(0.0, down) - 0.012 * spread
    thick = (1 - 0.32 * closed) * (1 + 0.32 * round_ - 0.16 * max(0.0, spread))
    # a round mouth is an ellipse, a spread one has sharp corners
    power = 0.75 - 0.25 * round_
    bulge = (1 - _ALONG**2) ** power
    full = (1 - np.abs(_ALONG) ** 2.4) ** 0.8
    bow = 1 - 0.2 * np.exp(-((_ALONG / 0.15) ** 2)) * (1 - 0.6 * round_)
    x = _ALONG * width

    def line(y: float, arc: NDArray[np.float64], extra: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
        return np.column_stack([x, corner + (y - corner) * arc + extra])

    y = face.mouth_y
    wave = 0.012 * np.cos(2 * np.pi * _ALONG) * (1 - min(1.0, opening / 0.05)) * (1 - np.abs(_ALONG))
    upper = line(y - up, bulge, wave)
    lower = line(y + down, bulge, wave)
    upper[:, 0] *= 0.97
    lower[:, 0] *= 0.97
    return MouthShape(
        inner_upper=upper,
        inner_lower=lower,
        outer_upper=np.column_stack([x, upper[:, 1] - face.upper_lip * thick * full * bow]),
        outer_lower=np.column_stack([x, lower[:, 1] + face.lower_lip * thick * full * (1 - 0.62 * tuck)]),
        gap=up + down,
        drop=0.62 * (1 - _RAISED) * opening * (1 - tuck) - 0.035 * tuck,
    )


def _bytes(color: Color) -> tuple[float, ...]:
    return (*(255 * min(1.0, max(0.0, value)) for value in color), 255)


def _ellipse(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.column_stack([x + width * np.cos(turn), y + height * np.sin(turn)]).astype(np.float32)


def draw(head: NDArray[np.uint8], face: Face, mouth: MouthShape, pose: Mapping[str, float]) -> None:
    """Draw the mouth onto a head, uint8 RGBA ``(384, 384, 4)``, in place."""
    left, right = round(CENTER[0] - 0.62 * UNIT), round(CENTER[0] + 0.62 * UNIT)
    top = round(CENTER[1] + (face.mouth_y - 0.3) * UNIT)
    patch = head[top : min(SIZE, top + round(1.0 * UNIT)), left:right]
    corner = (left, top)
    _lips(patch, corner, face, mouth, pose)
    if mouth.gap > 0.004:
        _inside(patch, corner, mouth, pose)
    else:
        middle = (mouth.inner_upper + mouth.inner_lower) / 2
        stroke(patch, pixels(middle) - corner, _bytes(mix(face.lips, _DARK, 0.6)), 2)
    if pose["tip"] > 0.05:
        _tip(patch, corner, mouth, pose["tip"])


def _lips(
    patch: NDArray[np.uint8], corner: tuple[int, int], face: Face, mouth: MouthShape, pose: Mapping[str, float]
) -> None:
    import cv2

    own = patch.copy()
    upper = np.vstack([mouth.outer_upper, mouth.inner_lower[::-1]])
    lower = np.vstack([mouth.inner_upper, mouth.outer_lower[::-1]])
    shadow = mouth.outer_lower + np.array([0.0, 0.03])
    stroke(own, pixels(shadow[6:-6]) - corner, _bytes(mix(face.skin, (0.2, 0.06, 0.05), 0.42)), 3)
    fill(own, pixels(lower) - corner, _bytes(mix(face.lips, (0.95, 0.6, 0.58), 0.12)))
    fill(own, pixels(upper) - corner, _bytes(mix(face.lips, _DARK, 0.2)))
    shine = mouth.inner_lower[10:-10] * 0.45 + mouth.outer_lower[10:-10] * 0.55
    stroke(
        own, pixels(shine) - corner, _bytes(mix(face.lips, (1.0, 0.85, 0.82), 0.38)), 3 + round(3 * pose["protrusion"])
    )
    cv2.GaussianBlur(own, (0, 0), 1.1, dst=own)
    patch[:] = own  # the whole patch is softened a little, as skin is


def _inside(patch: NDArray[np.uint8], corner: tuple[int, int], mouth: MouthShape, pose: Mapping[str, float]) -> None:
    import cv2

    cave = np.empty_like(patch)
    cave[:] = np.asarray(_bytes(_DARK), np.uint8)
    width = float(mouth.inner_upper[-1, 0])
    middle = len(_ALONG) // 2
    top, bottom = float(mouth.inner_upper[middle, 1]), float(mouth.inner_lower[middle, 1])
    gap = bottom - top
    tongue = pose["tongue"]
    crest = bottom - gap * (0.12 + 0.66 * tongue)
    body = _ellipse(0.0, crest + 0.2, width * (0.72 - 0.12 * tongue), 0.2)
    fill(cave, pixels(body) - corner, _bytes(mix(_DARK, _TONGUE, 0.55 + 0.4 * tongue)))
    lower = min(0.09 * pose["lower_teeth"], 0.42 * gap)
    upper = min(0.125 * pose["upper_teeth"], (0.62 + 0.38 * pose["tuck"]) * gap)
    if lower > 0.006:
        _teeth(cave, corner, mouth.inner_lower, -lower, 0.8, width)
    if upper > 0.006:
        _teeth(cave, corner, mouth.inner_upper, upper, 1.0, width)
    # the lips' shadow on what lies behind them
    stroke(cave, pixels(mouth.inner_upper) - corner, _bytes(mix(_DARK, _TEETH, 0.25)), 2)
    opening = np.zeros(patch.shape[:2], np.uint8)
    fill(opening, pixels(np.vstack([mouth.inner_upper, mouth.inner_lower[::-1]])) - corner, 255)
    cv2.GaussianBlur(opening, (0, 0), 0.7, dst=opening)
    share = opening.astype(np.uint16)[..., None]
    patch[:] = ((cave * share + patch * (255 - share) + 127) // 255).astype(np.uint8)


def _teeth(
    cave: NDArray[np.uint8],
    corner: tuple[int, int],
    gum: NDArray[np.float64],
    height: float,
    light: float,
    width: float,
) -> None:
    arch = (1 - 0.45 * (_ALONG * 1.05) ** 4).clip(0)
    edge = gum + np.column_stack([np.zeros(len(_ALONG)), height * arch])
    root = gum - np.array([0.0, np.sign(height) * 0.03])
    fill(cave, pixels(np.vstack([root[3:-3], edge[3:-3][::-1]])) - corner, _bytes(mix(_DARK, _TEETH, 0.72 * light)))
    fill(cave, pixels(np.vstack([root[7:-7], edge[7:-7][::-1]])) - corner, _bytes(mix(_DARK, _TEETH, light)))
    for x in (-0.2, -0.1, 0.0, 0.1, 0.2):
        if abs(x) < width * 0.75:
            at = int(np.argmin(np.abs(gum[:, 0] - x)))
            stroke(cave, pixels(np.array([root[at], edge[at]])) - corner, _bytes(mix(_DARK, _TEETH, 0.82 * light)), 1)


def _tip(patch: NDArray[np.uint8], corner: tuple[int, int], mouth: MouthShape, amount: float) -> None:
    middle = len(_ALONG) // 2
    top, bottom = mouth.inner_upper[middle, 1], mouth.inner_lower[middle, 1]
    from_y = top + 0.45 * (bottom - top)
    height = 0.5 * (bottom - from_y + 0.045 * amount)
    width = min(0.17, 0.6 * float(mouth.inner_upper[-1, 0]))
    tongue = _ellipse(0.0, from_y + height, width, max(0.01, height * amount))
    fill(patch, pixels(tongue) - corner, _bytes(mix(_TONGUE, (1.0, 0.75, 0.72), 0.18)))
    groove = curve(
        [(-0.6 * width, from_y + 1.35 * height), (0.0, from_y + 1.5 * height), (0.6 * width, from_y + 1.35 * height)]
    )
    stroke(patch, pixels(groove) - corner, _bytes(mix(_TONGUE, (1.0, 0.8, 0.8), 0.45)), 2)
