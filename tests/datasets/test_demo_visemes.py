from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.datasets.demo.speech import Phone
from f2v_bench.datasets.demo.visemes import ARTICULATORS, REACHED, VISEMES, articulate


def phones(*names: str, length_s: float = 0.12) -> list[Phone]:
    return [Phone(name, at * length_s, (at + 1) * length_s, 0) for at, name in enumerate(names)]


@pytest.mark.parametrize("name", ["p", "b", "m"])
@pytest.mark.parametrize("phase", [0.0, 0.01, 0.02, 0.03])
def test_lips_close_even_between_two_open_vowels(name: str, phase: float) -> None:
    sequence = [Phone("A@", 0, 0.2, 0), Phone(name, 0.2, 0.225, 0), Phone("A@", 0.225, 0.5, 0)]
    pose = articulate(sequence, 0.3 + phase, 30)
    opening = pose["aperture"] * (1 - pose["closure"])
    start = int((0.5 + phase) * 25)
    assert opening[start - 2 : start + 3].min() < 0.01  # shorter than a frame, and visible
    assert opening[start - 4] > 0.3
    assert opening[start + 5] > 0.3


def test_lips_are_round_before_a_round_vowel() -> None:
    two = articulate(phones("t", "u:"), 0.3, 30)
    tea = articulate(phones("t", "i:"), 0.3, 30)
    on_the_t = int((0.3 + 0.06) * 25)
    assert two["spread"][on_the_t] < -0.1 < 0.3 < tea["spread"][on_the_t]
    assert two["protrusion"][on_the_t] > 0.3 > tea["protrusion"][on_the_t]


@pytest.mark.parametrize(("name", "articulator"), [("f", "tuck"), ("v", "tuck"), ("T", "tip"), ("n", "nostrils")])
def test_reached_articulators_reach_their_target_and_return(name: str, articulator: str) -> None:
    pose = articulate(phones("a", name, "a"), 0.2, 25)
    middle = int((0.2 + 0.18) * 25)
    assert pose[articulator][middle] == pytest.approx(1)
    assert pose[articulator][0] == pose[articulator][-1] == 0


def test_diphthong_moves_from_open_to_round() -> None:
    pose = articulate([Phone("aU", 0, 0.4, 0)], 0.2, 25)
    early, late = int(0.28 * 25), int(0.5 * 25)
    assert pose["aperture"][early] > 2 * pose["aperture"][late]
    assert pose["protrusion"][late] > pose["protrusion"][early] + 0.5


def test_every_track_is_in_range_and_at_rest_at_both_ends() -> None:
    pose = articulate(phones(*VISEMES), 0.4, 150)
    assert set(pose) == set(ARTICULATORS)
    for name, track in pose.items():
        assert track.shape == (150,)
        assert track.dtype == np.float32
        assert track.min() >= -1.001
        assert track.max() <= 1.001
        if name in REACHED or name == "aperture":
            assert abs(track[0]) < 0.01
            assert abs(track[-1]) < 0.01


def test_unknown_phoneme_is_an_error() -> None:
    with pytest.raises(KeyError, match="clack"):
        articulate(phones("clack"), 0.1, 10)
