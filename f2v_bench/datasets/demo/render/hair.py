"""Hair and beard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.render.canvas import blend, curve, mask, soften, symmetric, texture
from f2v_bench.datasets.demo.render.face_geometry import SHAPE, grid, outline, pixels
from f2v_bench.datasets.demo.traits import Beard, Face, HairCut

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hair_paint(face: Face, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return hair with strands over the whole canvas, ``(384, 384, 3)``."""
    strands = texture(SHAPE, rng, (1.1, 16.0)) * 0.1 + texture(SHAPE, rng, (5.0, 22.0)) * 0.12
    _, down = grid()
    lit = 1.06 + strands - 0.1 * down
    picture = np.asarray(face.hair, np.float32) * lit[..., None] + 0.03
    return np.asarray(picture, np.float32)


def front_hair(face: Face) -> NDArray[np.float32] | None:
    """Return the outline of the hair in front of the face in face coordinates; None for a bald head."""
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
        return None
    sides = {HairCut.BOB: 0.45, HairCut.LONG: 0.6}.get(face.cut)
    if sides:
        crown = [(-1.12 * cheek, sides), *crown, (1.12 * cheek, sides)]
    return curve([*crown, *edge[face.cut]], closed=True)


def draw_beard(picture: NDArray[np.float32], face: Face, hair: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw mustache, stubble or beard onto the skin, in place.

    Args:
        picture: float RGB ``(384, 384, 3)``.
        face: face to draw on.
        hair: texture from ``hair_paint``.
        rng: generator of the grain.
    """
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
    cover = mask(SHAPE, pixels(lip), 2.5)
    if face.beard is not Beard.MUSTACHE:
        _, down = grid()
        jaw = mask(
            SHAPE,
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
        cover = np.maximum(cover, np.maximum(jaw, below * mask(SHAPE, pixels(outline(face)), 2.0)))
    grain = 0.75 + 0.2 * texture(SHAPE, rng, (1.0, 2.0))
    strength = 0.34 if face.beard is Beard.STUBBLE else 0.8
    blend(picture, hair * 0.85, np.clip(cover * grain * strength, 0, 0.9))
