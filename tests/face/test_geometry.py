from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.face.geometry import (
    ARCFACE_POINTS,
    MEAN_FACE_POINTS,
    apply_transforms,
    boxes_from_points,
    fit_mean_face,
    fit_similarity,
    to_five_points,
)


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:  # type: ignore[type-arg]
    angle = np.deg2rad(degrees)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ matrix.T + np.array(shift))


@pytest.mark.parametrize("degrees", [0, 17, -120])
def test_a_similarity_is_found_exactly(degrees: float) -> None:
    moved = turned(ARCFACE_POINTS, degrees, 1.7, (40, -9))
    transforms = fit_similarity(moved[None], ARCFACE_POINTS)
    assert apply_transforms(transforms, moved[None])[0] == pytest.approx(ARCFACE_POINTS, abs=1e-3)


def test_a_similarity_equals_the_least_squares_of_umeyama() -> None:
    """As scikit-image's SimilarityTransform, which the preprocessing of ArcFace and AV-HuBERT uses."""
    generator = np.random.default_rng(5)
    source = ARCFACE_POINTS * 2 + generator.normal(0, 3, (5, 2))
    rows = np.zeros((10, 4))
    rows[0::2] = np.stack([source[:, 0], -source[:, 1], np.ones(5), np.zeros(5)], 1)
    rows[1::2] = np.stack([source[:, 1], source[:, 0], np.zeros(5), np.ones(5)], 1)
    a, b, tx, ty = np.linalg.lstsq(rows, ARCFACE_POINTS.ravel(), rcond=None)[0]
    assert fit_similarity(source[None], ARCFACE_POINTS)[0] == pytest.approx(
        np.array([[a, -b, tx], [b, a, ty]]), abs=1e-6
    )


def test_the_mean_face_lies_on_its_own_eyes() -> None:
    points = fit_mean_face(MEAN_FACE_POINTS[None, 0], MEAN_FACE_POINTS[None, 1])
    assert points[0, :3] == pytest.approx(MEAN_FACE_POINTS[:3], abs=1e-3)
    assert points[0, 3:].mean(axis=0) == pytest.approx(MEAN_FACE_POINTS[3], abs=1)


def test_five_points_of_dlibs_68() -> None:
    marks = np.zeros((2, 68, 2))
    marks[:, 36:42], marks[:, 42:48], marks[:, 30], marks[:, 48], marks[:, 54] = (1, 2), (3, 4), (5, 6), (7, 8), (9, 10)
    assert to_five_points(marks)[1].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_landmarks_of_another_shape_are_refused_with_the_shape() -> None:
    with pytest.raises(F2VError, match=r"\(3, 21, 2\)"):
        to_five_points(np.zeros((3, 21, 2)))


def test_boxes_from_points_match_those_of_the_cascade() -> None:
    points = fit_mean_face(np.array([[100.0, 100.0]]), np.array([[150.0, 100.0]]))
    x0, y0, x1, y1 = boxes_from_points(points)[0]
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert x1 - x0 == pytest.approx(50 / 0.345)
    assert x0 < points[0, :, 0].min() < points[0, :, 0].max() < x1
    assert y0 < points[0, :, 1].min() < points[0, :, 1].max() < y1
