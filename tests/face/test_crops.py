from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.face import crops as module
from f2v_bench.face.crops import center_crop, face_crops, lip_transforms, warp
from f2v_bench.face.geometry import ARCFACE_POINTS, apply_transforms, fit_similarity
from f2v_bench.face.records import FaceCrops
from f2v_bench.media import write_video

from .drawing import EYES, MOUTH, talking


def lip_motion(crops: FaceCrops) -> tuple[float, float]:
    """Return the center of motion in the lip patches, right and down from the patch center, in pixels."""
    motion = np.abs(np.diff(crops.lips.astype(float), axis=0)).mean(axis=0)
    motion = np.maximum(motion - np.percentile(motion, 90), 0)
    rows, columns = np.mgrid[:96, :96] - 48
    return float((motion * columns).sum() / motion.sum()), float((motion * rows).sum() / motion.sum())


def test_crops_of_a_talking_head(films: Path, tmp_path: Path) -> None:
    crops = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    _, centers = talking(50)
    assert crops.lips.shape == (50, 96, 96)
    assert crops.face.shape == (50, 112, 112, 3)
    assert (crops.lips.dtype, crops.face.dtype, crops.boxes.dtype) == (np.uint8, np.uint8, np.float32)
    assert crops.visible.all()
    eyes = centers[:, None] + 70 * EYES
    assert np.abs(crops.points[:, :2] - eyes).max() < 2.5
    assert np.abs(crops.points[:, 3:].mean(axis=1) - (centers + 70 * MOUTH)).max() < 3.5
    right, down = lip_motion(crops)
    assert abs(right) < 4
    assert abs(down) < 6


def test_the_head_stands_still_in_its_crops(films: Path, tmp_path: Path) -> None:
    crops = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    _, centers = talking(50)
    wobble = (crops.points[:, :2].mean(axis=1) - centers).std(axis=0)
    assert wobble.max() < 0.25  # of a head that sways by 6 px
    upper = crops.face[:, 40:60, 30:82].astype(float).mean(axis=-1)
    assert np.abs(upper - upper.mean(axis=0)).mean() < 6


def test_the_aligned_face_has_its_eyes_on_arcfaces_template(films: Path, tmp_path: Path) -> None:
    crops = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    aligned = apply_transforms(fit_similarity(crops.points, ARCFACE_POINTS), crops.points)
    assert np.abs(aligned - ARCFACE_POINTS).max() < 6
    mean = crops.face.mean(axis=0).mean(axis=-1)
    for x, y in ARCFACE_POINTS[:2]:  # a pupil is darker than the skin below it
        assert mean[round(float(y)), round(float(x))] < mean[round(float(y)) + 12, round(float(x))] - 40


def test_the_second_call_reads_the_cache(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    copy = tmp_path / "another name é.mp4"
    shutil.copy(films / "talk.mp4", copy)
    monkeypatch.setattr(module, "scan", None)  # nothing is searched again
    second = face_crops(copy, detector="cascade", cache=tmp_path)
    assert (first.lips == second.lips).all()
    assert (first.points == second.points).all()


def test_a_torn_cache_entry_is_computed_again(films: Path, tmp_path: Path) -> None:
    first = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    (entry,) = tmp_path.rglob("*.npz")
    whole = entry.stat().st_size
    entry.write_bytes(entry.read_bytes()[:5000])
    second = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path)
    assert (first.lips == second.lips).all()
    assert entry.stat().st_size == whole


def test_long_videos_give_the_same_crops_as_short_ones(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path / "a")
    monkeypatch.setattr(module, "_MAX_BUFFER_BYTES", 500_000)  # five frames: every pass decodes again
    decoded = face_crops(films / "talk.mp4", detector="cascade", cache=tmp_path / "b")
    assert (kept.lips == decoded.lips).all()
    assert (kept.face == decoded.face).all()


@pytest.mark.parametrize(
    ("film", "kind", "says"),
    [
        ("wall.mp4", FailureKind.NO_FACE, "wall.mp4"),
        ("half.mp4", FailureKind.FACE_LOST, "48% of 50 frames"),
        ("none.mp4", FailureKind.FILE_MISSING, "none.mp4"),
    ],
)
def test_failures_are_named_and_not_cached(
    films: Path, tmp_path: Path, film: str, kind: FailureKind, says: str
) -> None:
    with pytest.raises(ClipFailure) as caught:
        face_crops(films / film, detector="cascade", cache=tmp_path)
    assert caught.value.kind is kind
    assert says in caught.value.detail
    assert not list(tmp_path.rglob("*.npz"))


def test_audio_and_torn_files_are_unreadable_or_no_video(films: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.mp4"
    torn.write_bytes((films / "talk.mp4").read_bytes()[:300])
    with pytest.raises(ClipFailure) as caught:
        face_crops(torn, cache=tmp_path)
    assert caught.value.kind is FailureKind.UNREADABLE_VIDEO


def test_landmarks_beside_the_video_are_used(films: Path, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    shutil.copy(films / "talk.mp4", video)
    _, centers = talking(50)
    eyes = centers[:, None] + 70 * EYES
    mouth = centers[:, None] + 70 * (MOUTH + np.array([[-0.15, 0], [0.15, 0]]))
    marks = np.concatenate([eyes, centers[:, None] + 70 * np.array([[0, 0.15]]), mouth], axis=1)
    by_cascade = face_crops(video, cache=tmp_path / "cache")
    np.save(tmp_path / "talk.landmarks.npy", marks)
    crops = face_crops(video, cache=tmp_path / "cache")
    assert (by_cascade.detector, crops.detector) == ("cascade", "precomputed")
    assert np.abs(crops.points - marks).max() < 1
    assert np.hypot(*lip_motion(crops)) < 6
    np.save(tmp_path / "talk.landmarks.npy", marks + 5)
    assert np.abs(face_crops(video, cache=tmp_path / "cache").points - marks - 5).max() < 1
    assert face_crops(video, detector="cascade", cache=tmp_path / "cache").detector == "cascade"


def test_missing_precomputed_landmarks_are_named(films: Path, tmp_path: Path) -> None:
    with pytest.raises(ClipFailure, match=r"talk\.landmarks\.npy"):
        face_crops(films / "talk.mp4", detector="precomputed", cache=tmp_path)


def test_an_unknown_detector(films: Path, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="unknown face detector 'dlib'"):
        face_crops(films / "talk.mp4", detector="dlib", cache=tmp_path)


def test_landmarks_for_a_detector_without_landmarks(films: Path, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="'cascade' does not use landmarks"):
        face_crops(films / "talk.mp4", detector="cascade", landmarks=tmp_path, cache=tmp_path)


def test_one_frame_is_enough(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", talking(1)[0])
    assert face_crops(tmp_path / "one.mp4", cache=tmp_path).lips.shape == (1, 96, 96)


def test_the_patch_follows_the_head_and_not_the_lips() -> None:
    t = np.arange(60)
    points = np.tile(np.array([[70, 60], [110, 60], [90, 82], [74, 104], [106, 104]], np.float32), (60, 1, 1))
    points[:, 3:, 1] += (4 * np.sin(t * 1.3))[:, None]  # the mouth opens and shuts
    stabilized = apply_transforms(lip_transforms(points), points[:, :3])
    assert np.abs(stabilized - stabilized.mean(axis=0))[10:-10].max() < 0.5
    points += (3 * np.sin(t / 4))[:, None, None].astype(np.float32)  # the head sways
    stabilized = apply_transforms(lip_transforms(points), points[:, :3])
    assert np.abs(stabilized - stabilized.mean(axis=0))[10:-10].max() < 0.5


def test_center_crop() -> None:
    lips = np.arange(2 * 96 * 96).reshape(2, 96, 96).astype(np.uint8)
    assert center_crop(lips).shape == (2, 88, 88)
    assert (center_crop(lips) == lips[:, 4:92, 4:92]).all()


@pytest.mark.parametrize("shrink", [1.0, 3.0, 8.0])
def test_a_frame_filmed_larger_gives_the_same_patch(shrink: float) -> None:
    frame = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 4)
    frame = np.clip((frame.astype(float) - 128) * 5 + 128, 0, 255).astype(np.uint8)
    transform = np.array([[1.0, 0.1, -20.0], [-0.1, 1.0, -8.0]])
    larger = cv2.resize(frame, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    from_larger = transform.copy()
    from_larger[:, :2] /= shrink
    from_larger[:, 2] += from_larger[:, :2] @ np.array([0.5 - 0.5 * shrink] * 2)
    error = np.abs(warp(larger, from_larger, 96).astype(float) - warp(frame, transform, 96))
    assert error[4:-4, 4:-4].mean() < 2.5


def test_import_is_cheap() -> None:
    code = "import sys, f2v_bench.face; print([m for m in ('cv2', 'matplotlib', 'scipy', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("speaker", ["s1", "s2", "s3", "s4", "s5", "s20", "s22", "s23", "s26", "s32"])
def test_real_speakers(shared: Path, tmp_path: Path, speaker: str) -> None:
    video = min((shared / "data" / "grid" / "original" / speaker).glob("*.mpg"))
    crops = face_crops(video, detector="cascade", cache=tmp_path)
    assert crops.visible.mean() == 1
    acceleration = np.diff(crops.points[:, 3:].mean(axis=1), 2, axis=0)
    assert np.linalg.norm(acceleration, axis=1).mean() < 0.4  # px a frame squared, at 360x288
    eyes = np.linalg.norm(crops.points[:, 1] - crops.points[:, 0], axis=1)
    assert eyes.std() / eyes.mean() < 0.04
    right, down = lip_motion(crops)
    assert abs(right) < 9
    assert abs(down) < 12
