from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.face.geometry import apply_transforms
from f2v_bench.face.motion import head_motion, stabilize

from .drawing import EYES, MOUTH, draw_face, empty, talking


def square_boxes(centers: np.ndarray, side: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([centers - side / 2, centers + side / 2], axis=1)


def test_the_flow_follows_a_head_to_a_tenth_of_a_pixel_while_its_box_stands_still() -> None:
    frames, centers = talking(20)
    boxes = square_boxes(np.tile(centers.mean(axis=0), (20, 1)), 85)
    steps = head_motion(frames, boxes)
    at = centers[:1]
    path = [at[0]]
    for step in steps[1:]:
        at = apply_transforms(step[None], at[None])[0]
        path.append(at[0])
    assert np.abs(np.array(path) - centers).max() < 0.35
    assert np.abs(np.diff(path, axis=0) - np.diff(centers, axis=0)).mean() < 0.1


def test_the_flow_measures_a_head_rotation() -> None:
    frames = []
    for degrees in (0, 2, 4):
        frames.append(empty())
        draw_face(frames[-1], (96, 80), 70, roll_deg=degrees)
    steps = head_motion(frames, square_boxes(np.array([[96.0, 80]] * 3), 85))
    turns = np.rad2deg(np.arctan2(steps[1:, 1, 0], steps[1:, 0, 0]))
    assert turns == pytest.approx([2, 2], abs=0.5)


def test_boxes_replace_a_failed_flow() -> None:
    frames = [np.full((160, 192, 3), 90, np.uint8)] * 3
    centers = np.array([[90.0, 80], [93, 80], [96, 81]])
    steps = head_motion(frames, square_boxes(centers, 80))
    assert steps[0] == pytest.approx(np.eye(2, 3))
    assert apply_transforms(steps[1:], centers[:-1, None])[:, 0] == pytest.approx(centers[1:])


def test_stabilize_takes_fast_motion_from_flow_and_position_from_detections() -> None:
    t = np.arange(100)
    truth = np.stack([50 + 4 * np.sin(t / 3), 30 + 0 * t], axis=1)[:, None]
    steps = np.tile(np.eye(2, 3), (100, 1, 1))
    steps[1:, :, 2] = np.diff(truth[:, 0], axis=0) + 0.02  # drifts by two pixels in all
    noise = np.random.default_rng(2).normal(0, 1.5, truth.shape)
    detected = truth + noise
    detected[t % 5 != 0] = np.nan
    steady = stabilize(detected, steps)
    assert np.abs(steady - truth).max() < 1.5
    wobble = np.diff(steady - truth, axis=0)
    assert wobble.std() < 0.1


def test_the_drawn_mouth_has_the_expected_position() -> None:
    picture = empty()
    draw_face(picture, (96, 80), 70, opening=1.0)
    x, y = np.array([96, 80]) + 70 * MOUTH
    assert picture[round(y), round(x)].max() < 120
    x, y = np.array([96, 80]) + 70 * EYES[0]
    assert picture[round(y), round(x)].max() < 80
