from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.face.geometry import MEAN_FACE_POINTS, apply_transforms, fit_mean_face, fit_similarity
from f2v_bench.face.mouth import mouth_offset, shift_mouth

from .drawing import EYES, MOUTH, draw_face, empty, talking


def eyes_to_points(centers: np.ndarray, width: float) -> np.ndarray:  # type: ignore[type-arg]
    eyes = centers[:, None] + width * EYES
    return fit_mean_face(eyes[:, 0], eyes[:, 1])


def test_the_mouth_is_found_by_its_motion() -> None:
    frames, centers = talking(40)
    points = eyes_to_points(centers, 70)
    moved = shift_mouth(points, mouth_offset(frames, points))
    truth = centers + 70 * MOUTH
    before = np.linalg.norm(points[:, 3:].mean(axis=1) - truth, axis=1).mean()
    after = np.linalg.norm(moved[:, 3:].mean(axis=1) - truth, axis=1).mean()
    assert after < 2.5
    assert after < before + 1


@pytest.mark.parametrize("drop", [-8.0, 10.0])
def test_a_mouth_off_its_usual_place_is_followed(drop: float) -> None:
    """Lips, drawn as a dark bar that opens and shuts, with an offset from the mean face."""
    points = fit_mean_face(np.tile([100.0, 90.0], (30, 1)), np.tile([150.0, 90.0], (30, 1)))
    x, y = points[0, 3:].mean(axis=0) + np.array([3.0, drop])
    frames = []
    for t in range(30):
        picture = empty((256, 256))
        height = 3 + 3 * (t % 3)
        picture[round(y) - height : round(y) + height, round(x) - 16 : round(x) + 16] = 30
        frames.append(picture)
    found = mouth_offset(frames, points) * 50 / 54.3  # mean-face pixels to video pixels
    assert found == pytest.approx([3, drop], abs=3.5)


def test_a_still_picture_keeps_the_mean_face() -> None:
    picture = empty()
    draw_face(picture, (96, 80), 70)
    points = eyes_to_points(np.array([[96.0, 80]] * 5), 70)
    assert mouth_offset([picture] * 5, points).tolist() == [0, 0]


def test_an_offset_turns_with_the_head() -> None:
    points = fit_mean_face(np.array([[100.0, 100.0]]), np.array([[100.0, 150.0]]))  # lies on its side
    moved = shift_mouth(points, np.array([0.0, 5.0]))
    aligned = apply_transforms(fit_similarity(points[:, :2], MEAN_FACE_POINTS[:2]), moved - 0.0)
    before = apply_transforms(fit_similarity(points[:, :2], MEAN_FACE_POINTS[:2]), points)
    assert aligned[0, 3:] - before[0, 3:] == pytest.approx(np.array([[0, 5], [0, 5]]), abs=1e-3)
    assert aligned[0, :2] == pytest.approx(before[0, :2])
