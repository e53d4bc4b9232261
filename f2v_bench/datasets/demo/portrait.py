"""The parts of a person that do not move by themselves, painted once a clip: head, hair, neck and clothes.

A head is painted with its mouth shut and without eyes, brows and lips; ``features`` draws those on every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.canvas import blend, curve, line_mask, mask, soften, symmetric, texture
from f2v_bench.datasets.demo.identity import Beard, Colour, Face, HairCut, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 384  # side of the canvas in pixels: twice the video's
UNIT = 108.0  # pixels of half a mean face's width
CENTRE = (SIZE / 2, 184.0)  # where a face has its origin, between the eyes
_SHAPE = (SIZE, SIZE)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A painted person.

    Attributes:
        head: uint8 RGBA ``(384, 384, 4)``, premultiplied: skin, nose, ears, front hair.
        body: the same for what is behind the head: back hair, neck, clothes.
    """

    head: NDArray[np.uint8]
    body: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Light:
    """Where the light of a clip comes from: x and y of its direction, -1 to 1, and how hard it is, 0 to 1."""

    x: float
    y: float
    hardness: float


def pixels(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Face coordinates ``(n, 2)`` to canvas pixels."""
    return np.asarray(np.asarray(points) * UNIT + CENTRE, np.float32)


def outline(face: Face) -> NDArray[np.float32]:
    """The edge of the face in face coordinates, ``(n, 2)``."""
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


def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    return (x + 0.5 - CENTRE[0]) / UNIT, (y + 0.5 - CENTRE[1]) / UNIT


def _spot(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    """A soft round spot in face coordinates, 1 in its middle."""
    across, down = _grid()
    return np.exp(-(((across - x) / width) ** 2) - ((down - y) / height) ** 2)


def _sides(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    return _spot(x, y, width, height) + _spot(-x, y, width, height)


def _shading(face: Face, light: Light) -> NDArray[np.float32]:
    """Lambert's law on an egg with a nose, cheeks and brow ridge: about 0.6 to 1.15."""
    across, down = _grid()
    middle = (face.chin - 1.18) / 2
    nx, ny = across / (face.cheek * 1.12), (down - middle) / (face.chin * 1.16)
    nz = np.sqrt(np.maximum(0.06, 1 - nx * nx - ny * ny))
    relief = 0.16 * _spot(0, 0.2, 0.13, 0.3) + 0.11 * _sides(0.55, 0.35, 0.3, 0.24)
    relief = relief + 0.05 * _spot(0, face.chin - 0.14, 0.22, 0.14) + 0.06 * _sides(0.4, face.brow_y + 0.02, 0.36, 0.1)
    slope_y, slope_x = np.gradient(soften(relief, 2.0) * UNIT)
    towards = np.sqrt(max(0.1, 1 - 0.3 * light.x**2 - 0.3 * light.y**2))
    lambert = (nx - slope_x) * light.x * 0.75 + (ny - slope_y) * light.y * 0.75 + nz * towards
    return np.asarray(1 - (0.36 + 0.26 * light.hardness) * (1 - np.clip(lambert, 0.1, 1.25)), np.float32)


def _shadow(skin: Colour) -> Colour:
    """The colour of skin in its own shadow: darker and redder."""
    return skin[0] * 0.52, skin[1] * 0.38, skin[2] * 0.36


def _skin(face: Face, light: Light, rng: np.random.Generator) -> NDArray[np.float32]:
    """Skin with its relief, ``(384, 384, 3)``; covers the whole canvas."""
    picture = np.empty((*_SHAPE, 3), np.float32)
    picture[:] = face.skin
    dark = _shadow(face.skin)
    rosy = mix(face.skin, (0.85, 0.3, 0.27), 0.5)
    blend(picture, rosy, 0.35 * _sides(0.58, 0.36, 0.26, 0.2) + 0.22 * _spot(0, face.nose_y - 0.08, 0.15, 0.13))
    if face.freckles:
        spots = (texture(_SHAPE, rng, (1.2, 1.2)) > 1.7).astype(np.float32)
        blend(picture, dark, soften(spots, 0.8) * 0.6 * face.freckles * _sides(0.45, 0.3, 0.35, 0.22).clip(0, 1))
    picture *= (_shading(face, light) * (1 + 0.012 * texture(_SHAPE, rng, (1.5, 1.5))))[..., None]
    # eye sockets are what a face detector looks for first
    blend(picture, dark, 0.5 * _sides(face.eye_x, -0.03, 0.27, 0.15).clip(0, 1))
    blend(picture, dark, 0.28 * _sides(0.19, -0.02, 0.09, 0.2).clip(0, 1))
    shine = 0.08 + 0.16 * max(0.0, 2.2 - sum(face.skin))  # dark skin shows its form by highlights
    lit = _sides(0.46, 0.27, 0.24, 0.11) * (1 + 0.5 * light.x * np.sign(_grid()[0])) + _spot(
        0.2 * light.x, -0.62, 0.5, 0.16
    )
    blend(picture, (1.0, 0.93, 0.86), shine * lit.clip(0, 1.3))
    _nose(picture, face, light, dark, shine)
    blend(picture, dark, 0.3 * _spot(0, face.mouth_y + face.lower_lip + 0.1, 0.24, 0.055))
    blend(
        picture,
        dark,
        0.13 * line_mask(_SHAPE, pixels(np.array([[0.0, face.nose_y + 0.05], [0.0, face.mouth_y - 0.1]])), 6, 3),
    )
    _wrinkles(picture, face, dark)
    return picture


def _nose(picture: NDArray[np.float32], face: Face, light: Light, dark: Colour, shine: float) -> None:
    base, width = face.nose_y, face.nose_width
    shadow = -1.0 if light.x > 0 else 1.0
    side = curve(
        [(shadow * 0.07, -0.1), (shadow * 0.085, 0.12), (shadow * width * 0.8, base - 0.1), (shadow * width, base)]
    )
    blend(picture, dark, 0.42 * line_mask(_SHAPE, pixels(side), 7, 4))
    blend(
        picture,
        (1.0, 0.97, 0.93),
        (0.2 + shine) * _spot(-0.015 * shadow, 0.1, 0.05, 0.24) + 0.28 * _spot(0, base - 0.1, 0.05, 0.04),
    )
    under = curve(
        [
            (-width, base - 0.05),
            (-width * 0.8, base + 0.035),
            (0.0, base + 0.06),
            (width * 0.8, base + 0.035),
            (width, base - 0.05),
        ]
    )
    blend(picture, dark, 0.55 * line_mask(_SHAPE, pixels(under), 5, 2.2))
    for at in (-1.0, 1.0):
        wing = curve(
            [(at * width * 0.93, base - 0.12), (at * width * 1.08, base - 0.04), (at * width * 0.9, base + 0.03)]
        )
        blend(picture, dark, 0.5 * line_mask(_SHAPE, pixels(wing), 4, 1.6))


def _wrinkles(picture: NDArray[np.float32], face: Face, dark: Colour) -> None:
    for at in (-1.0, 1.0):
        fold = curve(
            [
                (at * (face.nose_width + 0.05), face.nose_y - 0.06),
                (at * 0.4, face.nose_y + 0.13),
                (at * 0.49, face.mouth_y - 0.02),
            ]
        )
        blend(picture, dark, (0.2 + 0.4 * face.wrinkles) * line_mask(_SHAPE, pixels(fold), 4, 2.2))
        bag = curve([(at * (face.eye_x - 0.19), 0.13), (at * face.eye_x, 0.2), (at * (face.eye_x + 0.2), 0.13)])
        blend(picture, dark, (0.18 + 0.35 * face.wrinkles) * line_mask(_SHAPE, pixels(bag), 4, 2.5))
    for row in range(3 if face.wrinkles > 0.05 else 0):
        y = -0.62 - 0.13 * row
        crease = curve([(-0.5, y + 0.03), (-0.2, y), (0.15, y + 0.01), (0.5, y + 0.03)])
        blend(picture, dark, 0.42 * face.wrinkles * line_mask(_SHAPE, pixels(crease), 3, 1.6))


def _hair_paint(face: Face, rng: np.random.Generator) -> NDArray[np.float32]:
    strands = texture(_SHAPE, rng, (1.1, 16.0)) * 0.1 + texture(_SHAPE, rng, (5.0, 22.0)) * 0.12
    _, down = _grid()
    lit = 1.06 + strands - 0.1 * down
    picture = np.asarray(face.hair, np.float32) * lit[..., None] + 0.03
    return np.asarray(picture, np.float32)


def _front_hair(face: Face) -> list[NDArray[np.float32]]:
    """Polygons of the hair in front of the face, in face coordinates."""
    cheek = face.cheek
    crown = [
        (-1.07 * cheek, -0.35),
        (-1.1 * cheek, -0.8),
        (-0.78, -1.3),
        (-0.2, -1.5),
        (0.35, -1.49),
        (0.85, -1.25),
        (1.1 * cheek, -0.8),
        (1.07 * cheek, -0.35),
    ]
    edge = {
        HairCut.SHORT: [
            (0.95 * cheek, -0.24),
            (0.86 * cheek, -0.66),
            (0.55, -0.88),
            (0.0, -0.93),
            (-0.55, -0.88),
            (-0.86 * cheek, -0.66),
            (-0.95 * cheek, -0.24),
        ],
        HairCut.SWEPT: [
            (0.95 * cheek, -0.24),
            (0.87 * cheek, -0.58),
            (0.62, -0.74),
            (0.1, -0.82),
            (-0.35, -0.98),
            (-0.78 * cheek, -0.82),
            (-0.95 * cheek, -0.24),
        ],
        HairCut.BOB: [
            (1.0 * cheek, 0.1),
            (0.9 * cheek, -0.45),
            (0.6, -0.64),
            (0.0, -0.66),
            (-0.6, -0.64),
            (-0.9 * cheek, -0.45),
            (-1.0 * cheek, 0.1),
        ],
        HairCut.LONG: [
            (1.0 * cheek, 0.2),
            (0.88 * cheek, -0.4),
            (0.45, -0.85),
            (0.05, -1.06),
            (-0.4, -0.86),
            (-0.88 * cheek, -0.4),
            (-1.0 * cheek, 0.2),
        ],
    }
    if face.cut is HairCut.BALD:
        return []
    sides = {HairCut.BOB: 0.45, HairCut.LONG: 0.6}.get(face.cut)
    if sides:
        crown = [(-1.12 * cheek, sides), *crown[:1], *crown[1:-1], crown[-1], (1.12 * cheek, sides)]
    return [curve([*crown, *edge[face.cut]], closed=True)]


def _head(face: Face, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    picture = _skin(face, light, rng)
    edge = pixels(outline(face))
    alpha = mask(_SHAPE, edge, 0.8)
    inside = soften(mask(_SHAPE, edge), 7.0)
    picture *= (0.72 + 0.28 * np.clip(inside * 1.9 - 0.7, 0, 1))[..., None]
    dark = _shadow(face.skin)
    for at in (-1.0, 1.0):
        ear = curve(
            [
                (at * 0.96 * face.cheek, -0.18),
                (at * 1.1 * face.cheek, -0.2),
                (at * 1.13 * face.cheek, 0.0),
                (at * 1.07 * face.cheek, 0.25),
                (at * 0.95 * face.cheek, 0.28),
            ],
            closed=True,
        )
        own = mask(_SHAPE, pixels(ear), 0.8) * (1 - alpha)
        blend(picture, mix(face.skin, dark, 0.3 + 0.25 * (at * light.x < 0)), own)
        blend(picture, dark, own * 0.6 * _spot(at * 1.04 * face.cheek, 0.03, 0.05, 0.13))
        alpha = np.maximum(alpha, own)
    hair = _hair_paint(face, rng)
    _beard(picture, face, hair, rng)
    if face.cut is HairCut.BALD:
        blend(picture, (1.0, 0.97, 0.93), 0.25 * _spot(0.3 * light.x, -0.85, 0.35, 0.14))
    for polygon in _front_hair(face):
        cover = mask(_SHAPE, pixels(polygon), 1.2)
        shade = soften(cover, 5.0) * (1 - cover) * alpha
        blend(picture, dark, 0.5 * shade)
        blend(picture, hair, cover)
        alpha = np.maximum(alpha, cover)
    return _premultiplied(picture, alpha)


def _beard(picture: NDArray[np.float32], face: Face, hair: NDArray[np.float32], rng: np.random.Generator) -> None:
    if face.beard is Beard.NONE:
        return
    y, chin = face.mouth_y, face.chin
    lip = curve(
        [
            (-0.44, y - 0.04),
            (-0.2, y - 0.2),
            (0.0, y - 0.22),
            (0.2, y - 0.2),
            (0.44, y - 0.04),
            (0.2, y - 0.06),
            (-0.2, y - 0.06),
        ],
        closed=True,
    )
    cover = mask(_SHAPE, pixels(lip), 2.5)
    if face.beard is not Beard.MOUSTACHE:
        _, down = _grid()
        jaw = mask(
            _SHAPE,
            pixels(
                curve(
                    symmetric(
                        [
                            (0.0, y + 0.2),
                            (0.36, y + 0.16),
                            (0.5, y - 0.1),
                            (0.8, 0.3),
                            (1.1, 0.1),
                            (1.1, 1.2),
                            (0.5, chin + 0.2),
                            (0.0, chin + 0.2),
                        ]
                    ),
                    closed=True,
                )
            ),
            5.0,
        )
        below = soften(((down > y + face.lower_lip + 0.1) * (down < chin + 0.3)).astype(np.float32), 3.0)
        cover = np.maximum(cover, np.maximum(jaw, below * mask(_SHAPE, pixels(outline(face)), 2.0)))
    grain = 0.75 + 0.2 * texture(_SHAPE, rng, (1.0, 2.0))
    strength = 0.34 if face.beard is Beard.STUBBLE else 0.8
    blend(picture, hair * 0.85, np.clip(cover * grain * strength, 0, 0.9))


def _body(face: Face, clothes: Colour, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    across, down = _grid()
    picture = np.empty((*_SHAPE, 3), np.float32)
    picture[:] = mix(face.skin, (0.3, 0.12, 0.08), 0.16)
    alpha = np.zeros(_SHAPE, np.float32)
    hair = _hair_paint(face, rng) * 0.7
    if face.cut in (HairCut.LONG, HairCut.BOB):
        low = 1.75 if face.cut is HairCut.LONG else 0.8
        back = mask(
            _SHAPE,
            pixels(
                curve(
                    symmetric(
                        [
                            (0.0, -1.5),
                            (0.8, -1.28),
                            (1.17, -0.6),
                            (1.25, 0.2),
                            (1.2, low * 0.8),
                            (0.95, low),
                            (0.0, low - 0.1),
                        ]
                    ),
                    closed=True,
                )
            ),
            1.5,
        )
        blend(picture, hair, back)
        alpha = back
    neck, chin = face.neck, face.chin
    throat = mask(
        _SHAPE,
        pixels(
            curve(
                symmetric(
                    [
                        (0.0, 0.5),
                        (neck, 0.6),
                        (neck * 0.96, chin + 0.12),
                        (neck * 1.25, chin + 0.42),
                        (1.2, chin + 0.55),
                        (1.2, 2.6),
                        (0.0, 2.6),
                    ]
                ),
                closed=True,
            )
        ),
        1.2,
    )
    skin = np.empty_like(picture)
    skin[:] = mix(face.skin, (0.3, 0.12, 0.08), 0.16)
    skin *= (0.9 - 0.25 * (across / neck) ** 2 * 0.6 + 0.12 * light.x * across)[..., None]
    skin *= (1 - 0.42 * np.exp(-(((down - chin) / 0.3) ** 2)) * np.exp(-((across / 0.75) ** 4)))[..., None]
    blend(picture, skin, throat)
    width = 1.75 + 0.25 * (neck - 0.6) / 0.12
    cut = float(rng.uniform(0.3, 0.62))
    cloth = mask(
        _SHAPE,
        pixels(
            curve(
                [
                    (-2.6, 2.6),
                    (-width - 0.3, chin + 0.75),
                    (-neck * 1.1, chin + 0.3),
                    (0.0, chin + 0.3 + cut * 0.6),
                    (neck * 1.1, chin + 0.3),
                    (width + 0.3, chin + 0.75),
                    (2.6, 2.6),
                ],
                closed=True,
            )
        ),
        1.2,
    )
    fabric = np.empty_like(picture)
    fabric[:] = clothes
    fabric *= (0.95 + 0.13 * light.x * across - 0.1 * (down - chin) + 0.05 * texture(_SHAPE, rng, (8.0, 14.0)))[
        ..., None
    ]
    blend(picture, fabric, cloth)
    return _premultiplied(picture, np.maximum(alpha, np.maximum(throat, cloth)))


def _premultiplied(picture: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    out = np.dstack([np.clip(picture, 0, 1) * alpha[..., None], alpha])
    return np.ascontiguousarray(np.round(out * 255).astype(np.uint8))


def paint(face: Face, clothes: Colour, light: Light) -> Portrait:
    """Paint a person under a light; equal arguments, equal pixels."""
    return Portrait(
        _head(face, light, np.random.default_rng(face.strands)),
        _body(face, clothes, light, np.random.default_rng([face.strands, 1])),
    )
