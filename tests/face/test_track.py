from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.detect import Detection
from f2v_bench.face.track import select_talking_face


def face(x: float, y: float = 50, side: float = 40, confidence: float = 0.9) -> Detection:
    return Detection(np.array([x, y, x + side, y + side], np.float32), confidence, np.full((5, 2), np.nan, np.float32))


def test_the_larger_face_talks() -> None:
    track = select_talking_face([[face(10, side=30), face(100, side=50)]] * 20, "x")
    assert track.boxes[:, 0] == pytest.approx(100)
    assert track.visible.all()


def test_a_face_that_stays_beats_a_larger_one_that_passes() -> None:
    found = [[face(10, side=40)] + ([face(100, side=60)] if t < 8 else []) for t in range(30)]
    assert select_talking_face(found, "x").boxes[:, 0] == pytest.approx(10)


def test_a_confident_face_beats_an_unsure_one() -> None:
    track = select_talking_face([[face(100, side=44, confidence=0.4), face(10, side=40, confidence=0.9)]] * 10, "x")
    assert track.boxes[:, 0] == pytest.approx(10)


def test_gaps_are_interpolated_and_not_visible() -> None:
    found = [[face(10.0 + t)] if not 10 <= t < 16 else [] for t in range(40)]
    track = select_talking_face(found, "x")
    assert track.boxes[5:35, 0] == pytest.approx(10 + np.arange(5, 35), abs=0.2)
    assert (~track.visible).nonzero()[0].tolist() == list(range(10, 16))


def test_skipped_frames_between_two_detections_are_visible() -> None:
    found = [[face(10)], None, None, [face(10)], None, None, [face(10)]]
    assert select_talking_face(found, "x").visible.all()


def test_one_wild_box_does_not_move_the_track() -> None:
    found = [[face(10 if t != 12 else 26)] for t in range(25)]
    assert np.abs(select_talking_face(found, "x").boxes[:, 0] - 10).max() < 0.01


def test_jittering_boxes_are_smoothed() -> None:
    generator = np.random.default_rng(3)
    noise = generator.normal(0, 2, 75)
    boxes = select_talking_face([[face(50 + n)] for n in noise], "x").boxes
    assert boxes[:, 0].std() < 0.5 * noise.std()


def test_two_faces_that_swap_order_stay_apart() -> None:
    found = [[face(10), face(100, side=50)][:: 1 if t % 2 else -1] for t in range(20)]
    assert select_talking_face(found, "x").boxes[:, 0] == pytest.approx(100)


def test_no_face_at_all() -> None:
    with pytest.raises(ClipFailure, match="no face in any of 2 searched frames of 'clip'") as caught:
        select_talking_face([[], None, []], "'clip'")
    assert caught.value.kind is FailureKind.NO_FACE


@pytest.mark.parametrize("found", [[[face(10)]] * 20 + [[]] * 20, [[face(10)], []] * 20])
def test_a_face_in_half_of_the_frames_is_lost_and_the_share_is_named(found: list[list[Detection]]) -> None:
    with pytest.raises(ClipFailure, match="50% of 40 frames of 'clip'") as caught:
        select_talking_face(found, "'clip'")
    assert caught.value.kind is FailureKind.FACE_LOST
