from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import read_audio, write_video
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Need, Sample, Scores
from f2v_bench.metrics.lse import LSE, embed_audio, embed_lips, lse
from f2v_bench.nn.encoders.syncnet import SyncNet
from tests.nn.published import filled

RATE = 16_000
FRAMES = 16


@pytest.fixture(scope="module")
def network() -> SyncNet:
    return filled(SyncNet())


@pytest.fixture
def metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: SyncNet) -> LSE:
    """Return the metric on a checkpoint in the published layout, faces unchanged."""
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path / "assets"))
    (tmp_path / "assets").mkdir()
    torch.save(network.state_dict(), tmp_path / "assets" / "syncnet_v2.model")
    return LSE(MetricOptions(settings={"faces": "whole"}))


def write_noise(path: Path, frames: int = FRAMES) -> Path:
    pictures = np.random.default_rng(0).integers(0, 256, (frames, 12, 12, 3), dtype=np.uint8)
    write_video(path, [np.kron(picture, np.ones((10, 10, 1), np.uint8)) for picture in pictures])
    return path


def of_script(lips: torch.Tensor, sound: torch.Tensor, vshift: int) -> tuple[float, float, int]:
    """Confidence, distance and offset as the published script computes them, window by window."""
    moved = torch.nn.functional.pad(sound, (0, 0, vshift, vshift))
    size = 2 * vshift + 1
    rows = [
        torch.nn.functional.pairwise_distance(lips[[i]].repeat(size, 1), moved[i : i + size]) for i in range(len(lips))
    ]
    mean = torch.stack(rows, 1).mean(1)
    least, at = mean.min(0)
    return float(mean.median() - least), float(least), vshift - int(at)


@settings(max_examples=30, deadline=None)
@given(windows=st.integers(1, 60), vshift=st.sampled_from([10, 15]), seed=st.integers(0, 999))
def test_equals_the_published_script(windows: int, vshift: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    lips, sound = torch.randn(2, windows, 1024, generator=generator)
    found = lse(lips.numpy(), sound.numpy(), vshift)
    confidence, distance, offset = of_script(lips, sound, vshift)
    assert (found.confidence, found.distance) == pytest.approx((confidence, distance), abs=2e-5)
    assert found.offset == offset


@pytest.mark.parametrize("late", [-4, 0, 7])
def test_late_sound_has_a_negative_offset(late: int) -> None:
    rng = np.random.default_rng(0)
    both = rng.standard_normal((80, 1024)).astype(np.float32)
    found = lse(both[10:60], both[10 - late : 60 - late])
    assert found.offset == -late
    assert found.distance < 20 < found.confidence
    with pytest.raises(ValueError, match="two equal sequences"):
        lse(both, both[1:])


def test_scores_are_those_of_the_windows(metric: LSE, network: SyncNet, tmp_path: Path, speechlike) -> None:
    from f2v_bench.face.sync import iter_full_frames

    video = write_noise(tmp_path / "v.mp4")
    samples = speechlike(FRAMES / 25)
    [found] = metric.score([Sample("s/v", Waveform(samples, RATE), video=video)])
    lips = embed_lips(iter_full_frames(video), network)
    sound = embed_audio(samples, network)
    assert lips.shape == (FRAMES - 4, 1024)
    assert len(sound) >= FRAMES - 5
    confidence, distance, offset = of_script(*(torch.from_numpy(x[: FRAMES - 5]) for x in (lips, sound)), 15)
    assert isinstance(found, Scores)
    assert found.values == pytest.approx({"lse_c": confidence, "lse_d": distance}, abs=1e-4)
    assert found.detail == {"av_offset_frames": offset, "windows": FRAMES - 5}


def test_blocks_do_not_move_embeddings(network: SyncNet, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (9, 224, 224, 3), dtype=np.uint8)
    whole = embed_lips(iter(faces), network)
    monkeypatch.setattr("f2v_bench.metrics.lse.FRAMES_PER_BATCH", {"cpu": 2})
    np.testing.assert_allclose(embed_lips(iter(faces), network), whole, atol=1e-5)


def test_a_video_is_embedded_once(metric: LSE, tmp_path: Path, speechlike, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(faces: object, *_: object) -> np.ndarray:
        looks.append(len(list(faces)))  # type: ignore[call-overload]
        return np.ones((FRAMES - 4, 1024), np.float32)

    monkeypatch.setattr("f2v_bench.metrics.lse.embed_lips", look)
    video = write_noise(tmp_path / "v.mp4")
    short = write_noise(tmp_path / "short.mp4", 12)
    batch = [
        Sample("s/v", Waveform(speechlike(FRAMES / 25, pitch=pitch), RATE), video=at)
        for at in (video, short)
        for pitch in (100, 200)
    ]
    one, other, *failed = metric.score(batch)
    assert looks == [FRAMES]
    assert isinstance(one, Scores)
    assert isinstance(other, Scores)
    assert one.values != other.values
    kinds = [outcome.kind for outcome in failed if isinstance(outcome, ClipFailure)]
    assert kinds == [FailureKind.TOO_SHORT] * 2


def test_failures_are_named(metric: LSE, tmp_path: Path, speechlike) -> None:
    sound = Waveform(speechlike(1.0), RATE)
    video = write_noise(tmp_path / "v.mp4")
    outcomes = metric.score(
        [
            Sample("s/a", sound),
            Sample("s/b", sound, video=tmp_path / "b.wav"),
            Sample("s/c", sound, video=tmp_path / "none.mp4"),
            Sample("s/d", Waveform(np.zeros(RATE, np.float32), RATE), video=video),
            Sample("s/e", Waveform(speechlike(0.51), RATE), video=video),
        ]
    )
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, ClipFailure)]
    missing, silent, short = FailureKind.FILE_MISSING, FailureKind.SILENT, FailureKind.TOO_SHORT
    assert kinds == [FailureKind.NO_VIDEO, FailureKind.NO_VIDEO, missing, silent, short]


def test_signatures_state_window_and_faces(metric: LSE) -> None:
    assert LSE.needs == {Need.VIDEO}
    assert "|vshift:15|beyond-ends:zeros|faces:whole-frame|" in metric.signature
    other = LSE(MetricOptions(settings={"vshift": "10"})).signature
    assert "|vshift:10|" in other
    assert "-crop-0.4|" in other


def test_without_its_weights_it_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    with pytest.raises(MetricUnavailable, match=r"'syncnet-v2'.*f2v-bench assets pull syncnet-v2"):
        LSE(MetricOptions())


@pytest.mark.slow
@pytest.mark.usefixtures("metric")
def test_a_real_clip_through_the_face_detector(shared: Path) -> None:
    """Random weights: the numbers mean nothing, but the whole path is walked."""
    video = next((shared / "data" / "grid" / "s1").glob("*.mkv"))
    [found] = LSE(MetricOptions()).score([Sample("s1/x", read_audio(video, RATE), video=video)])
    assert isinstance(found, Scores)
    assert found.detail["windows"] in (69, 70)
    assert found.values["lse_d"] > 0
    assert found.values["lse_c"] >= 0
