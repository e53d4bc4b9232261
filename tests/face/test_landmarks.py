from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.face.landmarks import find_landmarks, read_landmarks, track_points
from f2v_bench.face.track import FaceTrack

from .drawing import EYES, talking

SIZE = (160, 192)


def five(count: int) -> NDArray[np.float64]:
    points = np.array([[70, 60], [110, 60], [90, 80], [75, 100], [105, 100.0]])
    return np.tile(points, (count, 1, 1)) + np.arange(count)[:, None, None] * 0.1


def saved(path: Path, array: NDArray[np.float64]) -> Path:
    np.save(path, array)
    return path


def test_five_points_come_back(tmp_path: Path) -> None:
    points, visible = read_landmarks(saved(tmp_path / "a.npy", five(30)), 30, SIZE)
    assert points.dtype == np.float32
    assert points[5:-5] == pytest.approx(five(30)[5:-5], abs=1e-3)
    assert visible.all()


def test_frames_with_nan_are_interpolated_and_not_visible(tmp_path: Path) -> None:
    marks = five(30)
    marks[10:13] = np.nan
    marks[20, 3, 1] = np.nan
    points, visible = read_landmarks(saved(tmp_path / "a.npy", marks), 30, SIZE)
    assert points[5:-5] == pytest.approx(five(30)[5:-5], abs=1e-3)
    assert (~visible).nonzero()[0].tolist() == [10, 11, 12, 20]


def test_fractions_of_the_picture_become_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", five(12) / np.array([SIZE[1], SIZE[0]]))
    assert read_landmarks(path, 12, SIZE)[0][4:-4] == pytest.approx(five(12)[4:-4], abs=1e-3)


@pytest.mark.parametrize("extra", [-2, 0, 2])
def test_one_or_two_frames_more_or_less_are_accepted(tmp_path: Path, extra: int) -> None:
    points, visible = read_landmarks(saved(tmp_path / "a.npy", five(20 + extra)), 20, SIZE)
    assert points.shape == (20, 5, 2)
    assert np.isfinite(points).all()
    assert visible.sum() == min(20, 20 + extra)


def test_npz_by_name_or_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", anything=five(9))
    np.savez(tmp_path / "two.npz", landmarks=five(9), scores=np.ones(9))
    one = read_landmarks(tmp_path / "one.npz", 9, SIZE)[0]
    assert (one == read_landmarks(tmp_path / "two.npz", 9, SIZE)[0]).all()


def failure_of(path: Path, frames: int = 20) -> ClipFailure:
    with pytest.raises(ClipFailure) as caught:
        read_landmarks(path, frames, SIZE)
    assert path.name in caught.value.detail
    return caught.value


def test_another_length_is_a_mismatch(tmp_path: Path) -> None:
    failure = failure_of(saved(tmp_path / "a.npy", five(30)))
    assert failure.kind is FailureKind.DURATION_MISMATCH
    assert "30 frames" in failure.detail


@pytest.mark.parametrize(("bad", "kind"), [(20, FailureKind.NO_FACE), (10, FailureKind.FACE_LOST)])
def test_too_few_frames_with_a_face(tmp_path: Path, bad: int, kind: FailureKind) -> None:
    marks = five(20)
    marks[:bad] = np.nan
    assert failure_of(saved(tmp_path / "a.npy", marks)).kind is kind


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert failure_of(tmp_path / "a.npy").kind is FailureKind.UNREADABLE_VIDEO


@pytest.mark.parametrize("content", [b"", b"not numpy", b"PK\x03\x04 torn"])
def test_torn_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert failure_of(tmp_path / "a.npz").kind is FailureKind.UNREADABLE_VIDEO


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    failure = failure_of(saved(tmp_path / "a.npy", np.zeros((20, 21, 2))))
    assert "(20, 21, 2)" in failure.detail


def test_search_order_of_landmark_files(tmp_path: Path) -> None:
    video = tmp_path / "s1" / "bbaf2n.mp4"
    marks = tmp_path / "marks"
    (marks / "s1").mkdir(parents=True)
    video.parent.mkdir()
    assert find_landmarks(video) is None
    beside = saved(video.with_name("bbaf2n.landmarks.npy"), five(2))
    assert find_landmarks(video) == beside
    with pytest.raises(ClipFailure, match=r"no landmarks 'bbaf2n\.npy'"):
        find_landmarks(video, marks)
    flat = saved(marks / "bbaf2n.npy", five(2))
    assert find_landmarks(video, marks) == flat
    nested = saved(marks / "s1" / "bbaf2n.npy", five(2))
    assert find_landmarks(video, marks) == nested
    assert find_landmarks(video, flat) == flat


@pytest.mark.parametrize("eyes_found", [True, False])
def test_eyes_are_followed_with_and_without_the_eye_cascade(eyes_found: bool) -> None:
    frames, centers = talking(40)
    truth = centers[:, None] + 70 * EYES
    side = np.linalg.norm(70 * (EYES[1] - EYES[0])) / 0.345
    corner = truth.mean(axis=1) - side * np.array([0.4975, 0.39])
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    points = np.full((40, 5, 2), np.nan, np.float32)
    if eyes_found:
        points[::5, :2] = truth[::5]
    track = FaceTrack(boxes, points, np.ones(40, bool))
    found = track_points(track, False, frames)
    assert np.abs(found[:, :2] - truth).max() < 1.5


def test_complete_points_are_only_smoothed() -> None:
    points = five(20).astype(np.float32)
    points[5] = np.nan
    points[12] += 40
    track = FaceTrack(np.zeros((20, 4), np.float32), points, np.ones(20, bool))
    assert track_points(track, True, iter(()))[3:-3] == pytest.approx(five(20)[3:-3], abs=0.2)
