from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2v_bench.face.sync import GRAY, SIZE, iter_full_frames, iter_sync_crops, sync_squares
from f2v_bench.media import write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Return a video of twenty frames, red left and blue right, with a green square around (60, 70)."""
    picture = np.zeros((160, 200, 3), np.uint8)
    picture[:, :100, 0], picture[:, 100:, 2] = 200, 200
    picture[60:80, 50:70] = (0, 220, 0)
    write_video(tmp_path / "face.mp4", [picture] * 20, crf=8)
    return tmp_path / "face.mp4"


def boxes(*corners: float) -> np.ndarray:
    return np.tile(np.array(corners, np.float32), (20, 1))


def test_the_crop_is_wider_than_the_box_and_reaches_lower(video: Path) -> None:
    """A box of half width 20 around (60, 70)."""
    faces = list(iter_sync_crops(video, boxes(40, 50, 80, 90)))
    assert len(faces) == 20
    assert all(face.shape == (SIZE, SIZE, 3) and face.dtype == np.uint8 for face in faces)
    # columns 60 -+ 28, rows 70 - 20 to 70 + 36: both 56 pixels, four pixels of the crop each
    green = (faces[9][..., 1] > 120).nonzero()
    assert (green[0].min(), green[0].max()) == pytest.approx((40, 119), abs=3)  # rows 60 to 79
    assert (green[1].min(), green[1].max()) == pytest.approx((72, 151), abs=3)  # columns 50 to 69
    assert faces[9][-10, 10].tolist() == pytest.approx([0, 0, 200], abs=25)  # blue first: red is last


def test_padding_is_gray(video: Path) -> None:
    face = next(iter_sync_crops(video, boxes(-20, 60, 60, 140)))
    assert (face[100:150, 5:20] == GRAY).all()
    assert (face[-10:, 100] == GRAY).all()


def test_full_frames_are_resized_and_converted_to_bgr(video: Path) -> None:
    faces = list(iter_full_frames(video))
    assert (len(faces), faces[0].shape) == (20, (SIZE, SIZE, 3))
    assert faces[0][5, 5].tolist() == pytest.approx([0, 0, 200], abs=25)
    assert faces[0][5, -5].tolist() == pytest.approx([200, 0, 0], abs=25)


def test_a_jumping_box_is_smoothed() -> None:
    jumping = boxes(40, 50, 80, 90)
    jumping[9] += 60
    found = sync_squares(jumping)
    np.testing.assert_allclose(found, np.tile([60, 70, 20], (20, 1)))
    wide = boxes(40, 50, 100, 90)
    assert sync_squares(wide)[9].tolist() == [70, 70, 30]  # half of the longer side
    with pytest.raises(ValueError, match="needs 13 frames, got 12"):
        sync_squares(jumping[:12])


def test_the_ends_are_biased_to_smaller_values() -> None:
    """The median pads with zeros, as in the published numbers."""
    moving = boxes(0, 50, 40, 90) + np.arange(20, dtype=np.float32)[:, None] * [1, 0, 1, 0]
    assert sync_squares(moving)[:, 0].tolist() == [*range(20, 34), *[33] * 6]
