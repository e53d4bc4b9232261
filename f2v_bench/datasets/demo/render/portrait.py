"""Rigid parts of a person, painted once per clip: head, hair, neck and clothes.

A head is painted with its mouth shut and without eyes, brows and lips; ``features`` draws those on every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.render.canvas import blend, curve, line_mask, mask, soften, symmetric, texture
from f2v_bench.datasets.demo.render.face_geometry import SHAPE, UNIT, grid, outline, pixels, sides, spot
from f2v_bench.datasets.demo.render.hair import draw_beard, front_hair, hair_paint
from f2v_bench.datasets.demo.traits import Color, Face, HairCut, mix, shadowed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Portrait:
    """Painted person.

    Attributes:
        head: uint8 RGBA ``(384, 384, 4)``, premultiplied: skin, nose, ears, front hair.
        body: layer behind the head in the same format: back hair, neck, clothes.
    """

    head: NDArray[np.uint8]
    body: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Light:
    """Light of a clip: x and y of its direction, -1 to 1, and its hardness, 0 to 1."""

    x: float
    y: float
    hardness: float


def _shading(face: Face, light: Light) -> NDArray[np.float32]:
    """Return Lambertian shading of an egg with a nose, cheeks and brow ridge: about 0.6 to 1.15."""
    across, down = grid()
    middle = (face.chin - 1.18) / 2
    nx, ny = across / (face.cheek * 1.12), (down - middle) / (face.chin * 1.16)
    nz = np.sqrt(np.maximum(0.06, 1 - nx * nx - ny * ny))
    relief = 0.16 * spot(0, 0.2, 0.13, 0.3) + 0.11 * sides(0.55, 0.35, 0.3, 0.24)
    relief = relief + 0.05 * spot(0, face.chin - 0.14, 0.22, 0.14) + 0.06 * sides(0.4, face.brow_y + 0.02, 0.36, 0.1)
    slope_y, slope_x = np.gradient(soften(relief, 2.0) * UNIT)
    towards = np.sqrt(max(0.1, 1 - 0.3 * light.x**2 - 0.3 * light.y**2))
    lambert = (nx - slope_x) * light.x * 0.75 + (ny - slope_y) * light.y * 0.75 + nz * towards
    return np.asarray(1 - (0.36 + 0.26 * light.hardness) * (1 - np.clip(lambert, 0.1, 1.25)), np.float32)


def _skin(face: Face, light: Light, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return skin with its relief over the whole canvas, ``(384, 384, 3)``."""
    picture = np.empty((*SHAPE, 3), np.float32)
    picture[:] = face.skin
    dark = shadowed(face.skin)
    rosy = mix(face.skin, (0.85, 0.3, 0.27), 0.5)
    blend(picture, rosy, 0.35 * sides(0.58, 0.36, 0.26, 0.2) + 0.22 * spot(0, face.nose_y - 0.08, 0.15, 0.13))
    if face.freckles:
        spots = (texture(SHAPE, rng, (1.2, 1.2)) > 1.7).astype(np.float32)
        blend(picture, dark, soften(spots, 0.8) * 0.6 * face.freckles * sides(0.45, 0.3, 0.35, 0.22).clip(0, 1))
    picture *= (_shading(face, light) * (1 + 0.012 * texture(SHAPE, rng, (1.5, 1.5))))[..., None]
    # face detectors respond to eye sockets first
    blend(picture, dark, 0.5 * sides(face.eye_x, -0.03, 0.27, 0.15).clip(0, 1))
    blend(picture, dark, 0.28 * sides(0.19, -0.02, 0.09, 0.2).clip(0, 1))
    shine = 0.08 + 0.16 * max(0.0, 2.2 - sum(face.skin))  # dark skin shows its form by highlights
    lit = sides(0.46, 0.27, 0.24, 0.11) * (1 + 0.5 * light.x * np.sign(grid()[0])) + spot(
        0.2 * light.x, -0.62, 0.5, 0.16
    )
    blend(picture, (1.0, 0.93, 0.86), shine * lit.clip(0, 1.3))
    _nose(picture, face, light, dark, shine)
    blend(picture, dark, 0.3 * spot(0, face.mouth_y + face.lower_lip + 0.1, 0.24, 0.055))
    blend(
        picture,
        dark,
        0.13 * line_mask(SHAPE, pixels(np.array([[0.0, face.nose_y + 0.05], [0.0, face.mouth_y - 0.1]])), 6, 3),
    )
    _wrinkles(picture, face, dark)
    return picture


def _nose(picture: NDArray[np.float32], face: Face, light: Light, dark: Color, shine: float) -> None:
    base, width = face.nose_y, face.nose_width
    shadow = -1.0 if light.x > 0 else 1.0
    side = curve(
        [(shadow * 0.07, -0.1), (shadow * 0.085, 0.12), (shadow * width * 0.8, base - 0.1), (shadow * width, base)]
    )
    blend(picture, dark, 0.42 * line_mask(SHAPE, pixels(side), 7, 4))
    blend(
        picture,
        (1.0, 0.97, 0.93),
        (0.2 + shine) * spot(-0.015 * shadow, 0.1, 0.05, 0.24) + 0.28 * spot(0, base - 0.1, 0.05, 0.04),
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
    blend(picture, dark, 0.55 * line_mask(SHAPE, pixels(under), 5, 2.2))
    for at in (-1.0, 1.0):
        wing = curve(
            [(at * width * 0.93, base - 0.12), (at * width * 1.08, base - 0.04), (at * width * 0.9, base + 0.03)]
        )
        blend(picture, dark, 0.5 * line_mask(SHAPE, pixels(wing), 4, 1.6))


def _wrinkles(picture: NDArray[np.float32], face: Face, dark: Color) -> None:
    for at in (-1.0, 1.0):
        fold = curve(
            [
                (at * (face.nose_width + 0.05), face.nose_y - 0.06),
                (at * 0.4, face.nose_y + 0.13),
                (at * 0.49, face.mouth_y - 0.02),
            ]
        )
        blend(picture, dark, (0.2 + 0.4 * face.wrinkles) * line_mask(SHAPE, pixels(fold), 4, 2.2))
        bag = curve([(at * (face.eye_x - 0.19), 0.13), (at * face.eye_x, 0.2), (at * (face.eye_x + 0.2), 0.13)])
        blend(picture, dark, (0.18 + 0.35 * face.wrinkles) * line_mask(SHAPE, pixels(bag), 4, 2.5))
    for row in range(3 if face.wrinkles > 0.05 else 0):
        y = -0.62 - 0.13 * row
        crease = curve([(-0.5, y + 0.03), (-0.2, y), (0.15, y + 0.01), (0.5, y + 0.03)])
        blend(picture, dark, 0.42 * face.wrinkles * line_mask(SHAPE, pixels(crease), 3, 1.6))


def _head(face: Face, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    picture = _skin(face, light, rng)
    edge = pixels(outline(face))
    alpha = mask(SHAPE, edge, 0.8)
    inside = soften(mask(SHAPE, edge), 7.0)
    picture *= (0.72 + 0.28 * np.clip(inside * 1.9 - 0.7, 0, 1))[..., None]
    dark = shadowed(face.skin)
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
        own = mask(SHAPE, pixels(ear), 0.8) * (1 - alpha)
        blend(picture, mix(face.skin, dark, 0.3 + 0.25 * (at * light.x < 0)), own)
        blend(picture, dark, own * 0.6 * spot(at * 1.04 * face.cheek, 0.03, 0.05, 0.13))
        alpha = np.maximum(alpha, own)
    hair = hair_paint(face, rng)
    draw_beard(picture, face, hair, rng)
    if face.cut is HairCut.BALD:
        blend(picture, (1.0, 0.97, 0.93), 0.25 * spot(0.3 * light.x, -0.85, 0.35, 0.14))
    fringe = front_hair(face)
    if fringe is not None:
        cover = mask(SHAPE, pixels(fringe), 1.2)
        shade = soften(cover, 5.0) * (1 - cover) * alpha
        blend(picture, dark, 0.5 * shade)
        blend(picture, hair, cover)
        alpha = np.maximum(alpha, cover)
    return _premultiplied(picture, alpha)


def _body(face: Face, clothes: Color, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    across, down = grid()
    picture = np.empty((*SHAPE, 3), np.float32)
    picture[:] = mix(face.skin, (0.3, 0.12, 0.08), 0.16)
    alpha = np.zeros(SHAPE, np.float32)
    hair = hair_paint(face, rng) * 0.7
    if face.cut in (HairCut.LONG, HairCut.BOB):
        low = 1.75 if face.cut is HairCut.LONG else 0.8
        back = mask(
            SHAPE,
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
        SHAPE,
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
        SHAPE,
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
    fabric *= (0.95 + 0.13 * light.x * across - 0.1 * (down - chin) + 0.05 * texture(SHAPE, rng, (8.0, 14.0)))[
        ..., None
    ]
    blend(picture, fabric, cloth)
    return _premultiplied(picture, np.maximum(alpha, np.maximum(throat, cloth)))


def _premultiplied(picture: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    out = np.dstack([np.clip(picture, 0, 1) * alpha[..., None], alpha])
    return np.ascontiguousarray(np.round(out * 255).astype(np.uint8))


def paint(face: Face, clothes: Color, light: Light) -> Portrait:
    """Paint a person under a light; equal arguments, equal pixels."""
    return Portrait(
        _head(face, light, np.random.default_rng(face.strands)),
        _body(face, clothes, light, np.random.default_rng([face.strands, 1])),
    )
