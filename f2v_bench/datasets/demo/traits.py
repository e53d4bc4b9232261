"""Synthetic identities: five traits decide both the look of a face and the sound of its voice.

The link between face and voice is continuous and the same for everybody, so a model that learns it from some people can
predict the voice of others. Skin, hair, glasses and clothes carry no information about the voice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.datasets.demo.speech import Voice

if TYPE_CHECKING:
    from collections.abc import Sequence

Color = tuple[float, float, float]  # RGB, 0 to 1

_SKIN: tuple[Color, ...] = (
    (0.98, 0.84, 0.74),
    (0.94, 0.77, 0.64),
    (0.87, 0.68, 0.53),
    (0.74, 0.54, 0.39),
    (0.62, 0.43, 0.31),
    (0.50, 0.34, 0.25),
)
_HAIR: tuple[Color, ...] = (
    (0.08, 0.06, 0.06),
    (0.20, 0.12, 0.08),
    (0.37, 0.22, 0.12),
    (0.55, 0.27, 0.11),
    (0.76, 0.58, 0.32),
)
_GRAY: Color = (0.72, 0.72, 0.72)
_IRIS: tuple[Color, ...] = ((0.27, 0.16, 0.08), (0.36, 0.24, 0.10), (0.30, 0.42, 0.28), (0.28, 0.45, 0.62))


class HairCut(StrEnum):
    """Hair style."""

    SHORT = "short"
    SWEPT = "swept"
    BOB = "bob"
    LONG = "long"
    BALD = "bald"


class Beard(StrEnum):
    """Facial hair."""

    NONE = "none"
    STUBBLE = "stubble"
    MUSTACHE = "mustache"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Traits:
    """Traits that face and voice share, each -1 to 1.

    Attributes:
        size: heavy jaw, brows and nose; low pitch and formants.
        length: long face; low formants.
        fullness: round cheeks and full lips; dark, breathy timbre.
        age: wrinkles and gray hair; rough voice, slow speech.
        vigor: large eyes and arched brows; fast speech.
    """

    size: float
    length: float
    fullness: float
    age: float
    vigor: float

    def voice(self) -> Voice:
        """Return the voice that belongs to the face."""
        return Voice(
            pitch_hz=155.0 * 2 ** (-0.62 * self.size),
            formants=1.035 - 0.055 * self.size - 0.025 * self.length,
            brightness=-0.9 * self.fullness,
            roughness=0.5 + 0.5 * self.age,
            breath=0.5 + 0.5 * self.fullness,
            rate_wpm=112.0 + 9.0 * self.vigor - 6.0 * self.age,
        )


@dataclass(frozen=True, slots=True)
class Face:
    """Geometry and colors of a face.

    Lengths are in units of half the mean face width; y grows downward from the line of the eyes.

    Attributes:
        cheek, jaw, chin_width: half widths at the cheekbones, the corner of the jaw and the chin.
        chin: y of the chin.
        brow_y, brow_thickness, brow_arch, brow_tilt: brows at rest.
        eye_x, eye_width, eye_height: half distance and half extents of the eyes.
        nose_y, nose_width: base of the nose.
        mouth_y, mouth_width, upper_lip, lower_lip: closed mouth; half width and thicknesses.
        neck: half width.
        wrinkles, freckles: 0 to 1.
        skin, hair, brows, lips, iris: colors.
        cut, beard, glasses: hair style, facial hair, glasses (0 none, 1 round, 2 square).
        strands: seed of the texture of hair and skin.
    """

    cheek: float
    jaw: float
    chin_width: float
    chin: float
    brow_y: float
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    eye_x: float
    eye_width: float
    eye_height: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    neck: float
    wrinkles: float
    freckles: float
    skin: Color
    hair: Color
    brows: Color
    lips: Color
    iris: Color
    cut: HairCut
    beard: Beard
    glasses: int
    strands: int


@dataclass(frozen=True, slots=True)
class Identity:
    """One person of the corpus."""

    name: str
    traits: Traits
    face: Face
    voice: Voice


def identity(seed: int, number: int) -> Identity:
    """Return person ``number`` of the corpus with this seed."""
    rng = np.random.default_rng([seed, 1, number])
    traits = Traits(*(round(float(value), 4) for value in rng.uniform(-1, 1, 5)))
    return Identity(f"p{number:03d}", traits, _face(traits, rng), traits.voice())


def mix(first: Color, second: Color, share: float) -> Color:
    """Mix a share of the second color into the first."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def shadowed(skin: Color) -> Color:
    """Return the color of skin in its own shadow: darker and redder."""
    return skin[0] * 0.52, skin[1] * 0.38, skin[2] * 0.36


def _between(palette: Sequence[Color], rng: np.random.Generator) -> Color:
    at = float(rng.uniform(0, len(palette) - 1))
    lower = int(at)
    return mix(palette[lower], palette[min(lower + 1, len(palette) - 1)], at - lower)


def _lips(skin: Color, rng: np.random.Generator) -> Color:
    rose = mix((0.74, 0.36, 0.36), (0.66, 0.26, 0.33), float(rng.uniform()))
    red, green, blue = mix(rose, skin, 0.22)
    dark = 0.62 + 0.38 * min(1.0, sum(skin) / 2.2)
    return red * dark, green * dark, blue * dark


def _cut(traits: Traits, rng: np.random.Generator) -> HairCut:
    if traits.size > 0:
        return HairCut(rng.choice([HairCut.SHORT, HairCut.SWEPT, HairCut.BALD], p=[0.5, 0.35, 0.15]))
    return HairCut(rng.choice([HairCut.SHORT, HairCut.SWEPT, HairCut.BOB, HairCut.LONG], p=[0.1, 0.2, 0.35, 0.35]))


def _beard(traits: Traits, rng: np.random.Generator) -> Beard:
    kinds = [Beard.NONE, Beard.STUBBLE, Beard.MUSTACHE, Beard.FULL]
    return Beard(rng.choice(kinds, p=[0.45, 0.25, 0.12, 0.18])) if traits.size > 0.15 else Beard.NONE


def _face(traits: Traits, rng: np.random.Generator) -> Face:
    size, length, fullness, age, vigor = traits.size, traits.length, traits.fullness, traits.age, traits.vigor
    noise: list[float] = rng.uniform(-1, 1, 10).tolist()
    skin = _between(_SKIN, rng)
    gray = max(0.0, age - 0.1) * 0.9
    # fair hair on dark skin is rare, and detectors look for dark brows on lighter skin
    fairest = 2 if sum(skin) < 1.7 else len(_HAIR)
    hair = mix(_between(_HAIR[:fairest], rng), _GRAY, gray)
    chin = 1.26 + 0.13 * length + 0.03 * size
    nose_y = 0.43 + 0.05 * length + 0.02 * noise[0]
    return Face(
        cheek=1.0 + 0.07 * fullness,
        jaw=0.77 + 0.09 * size + 0.06 * fullness,
        chin_width=0.36 + 0.09 * size + 0.03 * fullness,
        chin=chin,
        brow_y=-0.37 - 0.02 * vigor + 0.015 * noise[1],
        brow_thickness=0.068 + 0.03 * size,
        brow_arch=0.055 + 0.03 * vigor - 0.02 * size,
        brow_tilt=0.02 * noise[2],
        eye_x=0.43 + 0.02 * noise[3],
        eye_width=0.2 + 0.015 * vigor + 0.01 * noise[4],
        eye_height=0.1 + 0.024 * vigor - 0.008 * size,
        nose_y=nose_y,
        nose_width=0.19 + 0.035 * size + 0.02 * noise[5],
        mouth_y=nose_y + 0.31 + 0.02 * length + 0.01 * noise[6],
        mouth_width=0.38 + 0.025 * size + 0.02 * noise[7],
        upper_lip=0.083 + 0.02 * fullness + 0.006 * noise[8],
        lower_lip=0.107 + 0.025 * fullness + 0.006 * noise[9],
        neck=0.6 + 0.12 * size,
        wrinkles=max(0.0, age),
        freckles=float(max(0.0, rng.uniform(-1.5, 1))) if sum(skin) > 1.9 else 0.0,
        skin=skin,
        hair=hair,
        brows=mix(hair, (0.1, 0.07, 0.05), 0.45),
        lips=_lips(skin, rng),
        iris=_between(_IRIS, rng),
        cut=_cut(traits, rng),
        beard=_beard(traits, rng),
        glasses=int(rng.choice([0, 1, 2], p=[0.72, 0.14, 0.14])),
        strands=int(rng.integers(2**31)),
    )
