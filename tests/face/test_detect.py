from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.errors import F2VError
from f2v_bench.face.detect import (
    CascadeDetector,
    Detection,
    FaceDetector,
    MediaPipeDetector,
    get_detector,
    is_mediapipe_available,
    landmark_detection,
    overlap,
    scan,
)

from .drawing import EYES, draw_face, empty, talking


def a_face(x: float) -> Detection:
    return Detection(np.array([x, 0, x + 10, 10], np.float32), 0.9, np.full((5, 2), np.nan, np.float32))


class Scripted(FaceDetector):
    """Detector that reads the position of a face from the first pixel of the frame; 255 means no face."""

    name = "scripted"
    stride = 5
    finds_all_points = False

    def __init__(self) -> None:
        self.asked: list[int] = []

    @classmethod
    def signature(cls) -> str:
        return "scripted"

    def detect(self, frame: NDArray[np.uint8]) -> list[Detection]:
        self.asked.append(int(frame[0, 0, 1]))
        place = int(frame[0, 0, 0])
        return [] if place == 255 else [a_face(place)]


def film(places: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    for t, place in enumerate(places):
        yield np.array([[[place, t, 0]]], np.uint8)


def test_a_still_face_is_searched_on_a_grid_and_at_the_end() -> None:
    detector = Scripted()
    found = scan(detector, film([3] * 13))
    assert len(found) == 13
    assert detector.asked == [0, 5, 10, 12]
    assert [t for t, faces in enumerate(found) if faces is not None] == [0, 5, 10, 12]


@pytest.mark.parametrize(("gone", "came"), [(7, 0), (3, 0), (0, 6)])
def test_the_moment_a_face_comes_or_goes_is_exact(gone: int, came: int) -> None:
    places = [3] * gone + [255] * (20 - gone) if gone else [255] * came + [3] * (20 - came)
    found = scan(Scripted(), film(places))
    searched = [faces for faces in found if faces is not None]
    assert all(bool(faces) == (places[t] == 3) for t, faces in enumerate(found) if faces is not None)
    edge = gone or came
    assert found[edge] is not None
    assert found[edge - 1] is not None
    assert len(searched) < 20


def test_a_face_that_blinks_every_other_frame_is_searched_in_all() -> None:
    found = scan(Scripted(), film([3, 255] * 10 + [3]))
    assert [len(faces) for faces in found if faces is not None] == [1, 0] * 10 + [1]


def test_an_empty_film_has_no_faces() -> None:
    assert scan(Scripted(), iter(())) == []


def test_the_cascade_finds_face_and_eyes() -> None:
    frames, centers = talking(1)
    (face,) = CascadeDetector().detect(frames[0])
    eyes = centers[0] + 70 * EYES
    assert 0 < face.confidence < 1
    assert np.abs(face.points[:2] - eyes).max() < 3
    assert np.isnan(face.points[2:]).all()
    assert (face.box[:2] < eyes.min(0)).all()
    assert (face.box[2:] > eyes.max(0)).all()


@pytest.mark.parametrize("scale", [0.8, 4.0])
def test_the_cascade_answers_in_pixels_of_the_frame(scale: float) -> None:
    frames, centers = talking(1)
    bigger = cv2.resize(frames[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    (face,) = CascadeDetector().detect(bigger)
    assert np.abs(face.points[:2] / scale - (centers[0] + 70 * EYES)).max() < 4


@pytest.mark.parametrize("gain", [0.3, 0.12])
def test_the_cascade_finds_faces_in_the_dark(gain: float) -> None:
    frames, centers = talking(1, noise=1.0)
    (face,) = CascadeDetector().detect((frames[0] * gain).astype(np.uint8))
    assert np.abs(face.points[:2] - (centers[0] + 70 * EYES)).max() < 3


def test_the_cascade_finds_no_face_on_walls_and_noise() -> None:
    detector = CascadeDetector()
    noise = np.random.default_rng(0).integers(0, 256, (160, 192, 3), dtype=np.uint8)
    assert detector.detect(empty()) == []
    assert detector.detect(noise) == []
    assert detector.detect(np.zeros((9, 7, 3), np.uint8)) == []


def test_the_cascade_finds_two_faces() -> None:
    picture = empty((160, 320))
    draw_face(picture, (90, 80), 70)
    draw_face(picture, (240, 80), 60)
    assert len(CascadeDetector().detect(picture)) == 2


def test_overlap_of_boxes() -> None:
    a, b = a_face(0).box, a_face(5).box
    assert overlap(a, a) == 1
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(a, a_face(10).box) == 0


def test_an_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(F2VError, match="did you mean 'cascade'"):
        get_detector("cascad")


def test_mediapipe_without_its_model_names_the_command_to_fetch_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    assert not is_mediapipe_available()
    assert get_detector("auto") is CascadeDetector
    with pytest.raises(F2VError, match="assets pull face-landmarker"):
        MediaPipeDetector()


def test_mediapipes_landmarks_become_boxes_and_points() -> None:
    mesh = np.random.default_rng(1).uniform(40, 60, (478, 2)).astype(np.float32)
    mesh[0], mesh[2] = (30, 35), (90, 110)
    mesh[33], mesh[133], mesh[362], mesh[263] = (40, 50), (50, 50), (70, 50), (80, 52)
    mesh[1], mesh[61], mesh[291] = (60, 70), (50, 90), (70, 90)
    face = landmark_detection(mesh)
    assert face.box.tolist() == [30, 35, 90, 110]
    assert face.points.tolist() == [[45, 50], [75, 51], [60, 70], [50, 90], [70, 90]]


def test_mediapipe_gets_rising_timestamps_and_returns_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake of the published interface, because the model of the package is not installed here."""
    times: list[int] = []
    marks = [SimpleNamespace(x=0.25, y=0.5, z=0.0)] * 478

    def detect_for_video(image: dict[str, Any], timestamp_ms: int) -> SimpleNamespace:
        assert image["data"].shape == (100, 200, 3)
        times.append(timestamp_ms)
        return SimpleNamespace(face_landmarks=[marks])

    detector = MediaPipeDetector.__new__(MediaPipeDetector)
    package = SimpleNamespace(Image=dict, ImageFormat=SimpleNamespace(SRGB=1))
    monkeypatch.setattr(detector, "_mediapipe", package, raising=False)
    monkeypatch.setattr(detector, "_landmarker", SimpleNamespace(detect_for_video=detect_for_video), raising=False)
    monkeypatch.setattr(detector, "_frames", 0, raising=False)
    frame = np.zeros((100, 200, 3), np.uint8)
    faces = [detector.detect(frame)[0] for _ in range(3)]
    assert times == [0, 40, 80]
    assert faces[0].points.tolist() == [[50, 50]] * 5
