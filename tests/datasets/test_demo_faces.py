from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.clip import Waveform
from f2v_bench.datasets.demo.expression import Expression, express
from f2v_bench.datasets.demo.render.mouth import shape
from f2v_bench.datasets.demo.render.scene import film
from f2v_bench.datasets.demo.traits import identity
from f2v_bench.datasets.demo.visemes import ARTICULATORS

FRAMES = 4
REST = dict.fromkeys(ARTICULATORS, 0.0)


def still(frames: int = FRAMES) -> Expression:
    zero = np.zeros(frames, np.float32)
    return Expression(*(zero for _ in Expression.__slots__))


def awake(frames: int = FRAMES) -> Expression:
    return replace(still(frames), lid=np.ones(frames, np.float32))


def mouth_of(**pose: float) -> dict[str, NDArray[np.float32]]:
    return {name: np.full(FRAMES, value, np.float32) for name, value in (REST | pose).items()}


def filmed(
    number: int, pose: dict[str, NDArray[np.float32]], expression: Expression, seed: int = 0
) -> NDArray[np.uint8]:
    return np.stack(list(film(identity(0, number).face, pose, expression, np.random.default_rng(seed))))


def test_frames_are_equal_for_equal_arguments() -> None:
    first, second = (filmed(3, mouth_of(aperture=0.5), awake()) for _ in range(2))
    assert first.shape == (FRAMES, 192, 192, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, filmed(3, mouth_of(aperture=0.5), awake(), seed=1))


def test_lips_meet_and_part() -> None:
    face = identity(0, 1).face
    closed = shape(face, REST | {"aperture": 0.8, "closure": 1.0})
    assert closed.gap == pytest.approx(0)
    assert closed.drop == pytest.approx(0)
    wide, round_ = (shape(face, REST | {"aperture": 0.5, "spread": spread}) for spread in (1.0, -1.0))
    assert np.ptp(wide.inner_upper[:, 0]) > 1.8 * np.ptp(round_.inner_upper[:, 0])
    gaps = [shape(face, REST | {"aperture": float(value)}).gap for value in np.linspace(0, 1, 6)]
    assert gaps == sorted(gaps)


@pytest.mark.parametrize(
    ("pose", "rows"),
    [
        ({"aperture": 0.8}, slice(110, 175)),
        ({"aperture": 0.3, "upper_teeth": 1.0, "lower_teeth": 1.0}, slice(110, 165)),
        ({"aperture": 0.4, "tip": 1.0}, slice(110, 165)),
        ({"tuck": 1.0, "upper_teeth": 1.0}, slice(110, 165)),
        ({"nostrils": 1.0}, slice(95, 140)),
    ],
)
def test_articulators_change_the_mouth_region_only(pose: dict[str, float], rows: slice) -> None:
    rest = filmed(2, mouth_of(), awake()).astype(int)
    moved = filmed(2, mouth_of(**pose), awake()).astype(int)
    change = np.abs(moved - rest).max(axis=(0, 3))
    assert change[rows].max() > 40
    assert change[:80].max() == 0  # eyes and brows do not move


def test_brows_and_lids_change_the_region_above_the_mouth_only() -> None:
    rest = filmed(2, mouth_of(), awake()).astype(int)
    raised = filmed(2, mouth_of(), replace(awake(), brow=np.ones(FRAMES, np.float32))).astype(int)
    shut = filmed(2, mouth_of(), still()).astype(int)
    for moved in (raised, shut):
        change = np.abs(moved - rest).max(axis=(0, 3))
        assert change[40:105].max() > 40
        assert change[125:].max() == 0


def test_expression_follows_pitch_and_loudness() -> None:
    rate, seconds = 16_000, 3
    t = np.arange(rate * seconds) / rate
    f0 = 150 * 2 ** (4 * np.sin(2 * np.pi * t / 3) / 12)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    loud = 0.02 + 0.1 * (t / seconds)
    face = express(Waveform((voice * loud).astype(np.float32), rate), 150.0, 75, np.random.default_rng(0))
    true = 12 * np.log2(f0.reshape(75, -1).mean(axis=1) / 150)
    inner = slice(8, 67)
    assert np.corrcoef(face.semitones[inner], true[inner])[0, 1] > 0.98
    assert np.corrcoef(face.brow[inner], true[inner])[0, 1] > 0.9
    assert face.loudness[60] > face.loudness[10] + 0.1
    assert face.cheek[60] > face.cheek[10]


def test_silence_gives_a_face_at_rest() -> None:
    face = express(Waveform(np.zeros(32_000, np.float32), 16_000), 150.0, 50, np.random.default_rng(0))
    assert np.all(face.semitones == 0)
    assert np.all(face.loudness == 0)
    assert np.all(np.abs(face.brow) < 0.4)


def test_people_differ_and_depend_on_seed_and_number() -> None:
    assert identity(0, 5) == identity(0, 5)
    assert identity(0, 5) != identity(1, 5)
    everybody = [identity(0, number) for number in range(100)]
    pitches = [person.voice.pitch_hz for person in everybody]
    assert min(pitches) < 110
    assert max(pitches) > 220
    jaws = [person.face.jaw for person in everybody]
    assert np.corrcoef(jaws, np.log(pitches))[0, 1] < -0.7


@pytest.mark.slow
def test_the_cascade_finds_nearly_every_face() -> None:
    import cv2
    import cv2.data

    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")
    pose, found = mouth_of(aperture=0.4, upper_teeth=0.5), []
    for number in range(40):
        for frame in filmed(number, pose, awake(), seed=number)[::2]:
            gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            found.append(len(cascade.detectMultiScale(gray, 1.15, 3, minSize=(48, 48))) >= 1)
    assert np.mean(found) >= 0.98
