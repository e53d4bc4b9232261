from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.signal.mel import log_mel
from f2v_bench.training.data.dataset import ClipDataset, UnitLabeler, clip_samples, sample_segment
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.loader import StepSampler, build_loader
from f2v_bench.training.data.prepare import Prepared
from tests.clips import babble
from tests.training.toys import toy_features, toy_prepared


def noise_clip(frames: int) -> ClipFeatures:
    """Build a noise clip whose mel is that of its audio."""
    audio = np.rint(babble(frames / 25)[: 640 * frames] * 32_767).astype(np.int16)
    plain = replace(toy_features(frames), audio=audio)
    return replace(plain, mel=log_mel(clip_samples(plain), 16_000))


def test_clips_stay_in_memory_as_far_as_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = toy_prepared(tmp_path, [20, 60, 20, 20])
    sizes = [sum(a.nbytes for a in prepared.load(at).arrays().values()) for at in range(4)]
    read: list[int] = []
    load = Prepared.load

    def recorded(self: Prepared, at: int) -> ClipFeatures:
        read.append(at)
        return load(self, at)

    monkeypatch.setattr(Prepared, "load", recorded)
    clips = ClipDataset(prepared, budget=sizes[0] + sizes[2])
    assert len(clips) == 4
    for _ in range(2):
        for at in range(4):
            np.testing.assert_array_equal(clips[at].mel, toy_features([20, 60, 20, 20][at], at).mel)
    assert read == [0, 1, 2, 3, 1, 3]


@pytest.mark.slow
def test_worker_processes_cache_nothing(tmp_path: Path) -> None:
    clips = ClipDataset(toy_prepared(tmp_path, [3, 3, 3]))
    assert clips[0].frames == 3

    def load(at: int, _: np.random.Generator) -> Example:
        assert clips[at].frames == 3
        return Example(1, {"cached": np.array([len(clips._cache)])})

    batches = list(build_loader(StepSampler(load, count=3, batch=1, steps=9, seed=0), 1))
    assert {int(batch["cached"][0, 0]) for batch in batches} == {1}


def test_hours_are_durations_of_the_corpus_or_of_the_frames(tmp_path: Path) -> None:
    prepared = toy_prepared(tmp_path, [25, 50])
    assert ClipDataset(prepared).hours == pytest.approx(3 / 3600)
    stated = tuple(replace(clip, duration_s=1800.0) for clip in prepared.clips)
    assert ClipDataset(replace(prepared, clips=stated)).hours == pytest.approx(1)


def test_units_are_fitted_once_and_saved(tmp_path: Path) -> None:
    clips = ClipDataset(toy_prepared(tmp_path, [20, 20]))
    config, file = UnitConfig(count=5), tmp_path / "new" / "units.npz"
    units = UnitLabeler(config, file, clips)
    labels = units(clips[0])
    assert labels.shape == (40,)
    assert set(labels.tolist()) <= set(range(5))
    written = file.stat().st_mtime_ns
    np.testing.assert_array_equal(UnitLabeler(config, file)(clips[0]), labels)
    np.testing.assert_array_equal(
        UnitLabeler(config, file, ClipDataset(toy_prepared(tmp_path, [9])))(toy_features(20, 0)), labels
    )
    assert file.stat().st_mtime_ns == written
    assert [path.name for path in file.parent.iterdir()] == ["units.npz"]


def test_the_earlier_name_of_the_centers_is_read(tmp_path: Path) -> None:
    clips, file = ClipDataset(toy_prepared(tmp_path, [20])), tmp_path / "units.npz"
    labels = UnitLabeler(UnitConfig(count=5), file, clips)(clips[0])
    with np.load(file) as content:
        assert set(content) == {"centers", "scale"}
        earlier = {"centres": content["centers"], "scale": content["scale"]}
    np.savez(file, **earlier)
    np.testing.assert_array_equal(UnitLabeler(UnitConfig(count=5), file)(clips[0]), labels)


def test_missing_units_and_another_number_of_units_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "units.npz"
    with pytest.raises(F2VError, match="there is no file of speech units"):
        UnitLabeler(UnitConfig(count=5), file)
    UnitLabeler(UnitConfig(count=5), file, ClipDataset(toy_prepared(tmp_path, [20])))
    with pytest.raises(F2VError, match="holds 5 units, the settings ask for 6"):
        UnitLabeler(UnitConfig(count=6), file)


def test_audio_and_mel_of_a_segment_match() -> None:
    whole = noise_clip(30)
    firsts = set()
    for seed in range(10):
        audio, mel, f0 = sample_segment(whole, 8000, np.random.default_rng(seed)).values()
        assert audio.shape == (8000,)
        assert mel.shape == (50, 80)
        np.testing.assert_allclose(log_mel(audio, 16_000)[2:-2], mel[2:-2], atol=2e-3)  # mel frames at an edge differ
        first = next(at for at in range(71) if np.array_equal(whole.mel[at : at + 50], mel))
        np.testing.assert_array_equal(f0, whole.f0[first : first + 50])
        firsts.add(first)
    assert len(firsts) > 5
    ends = {sample_segment(whole, 160 * 119, np.random.default_rng(seed))["mel"][0, 0] for seed in range(20)}
    assert ends == {whole.mel[0, 0], whole.mel[1, 0]}, "every start can be drawn, including the last"


def test_short_clips_are_padded_with_silence() -> None:
    whole = noise_clip(5)
    audio, mel, f0 = sample_segment(whole, 8000, np.random.default_rng(0)).values()
    np.testing.assert_array_equal(mel[:20], whole.mel)
    np.testing.assert_allclose(mel[20:], np.log(1e-5))
    np.testing.assert_allclose(log_mel(audio, 16_000)[23:], mel[23:], atol=1e-5)
    assert audio.shape == (8000,)
    assert audio.dtype == mel.dtype == f0.dtype == np.float32
    np.testing.assert_array_equal(f0, np.pad(whole.f0, (0, 30)))
    assert (audio[3200:] == 0).all()


def test_a_segment_with_units_starts_at_a_unit() -> None:
    whole = noise_clip(30)
    units = np.arange(60)  # the label of a unit is its index
    firsts = set()
    for seed in range(20):
        segment = sample_segment(whole, 160 * 51, np.random.default_rng(seed), units)
        first = next(at for at in range(70) if np.array_equal(whole.mel[at : at + 51], segment["mel"]))
        assert first % 2 == 0
        np.testing.assert_array_equal(segment["units"], np.arange(first, first + 51) // 2)
        firsts.add(first)
    assert len(firsts) > 5
    ends = [sample_segment(whole, 160 * 117, np.random.default_rng(seed), units)["units"][-1] for seed in range(20)]
    assert set(ends) == {58, 59}, "every start can be drawn, including the last"


def test_the_last_unit_of_a_short_clip_is_repeated() -> None:
    segment = sample_segment(noise_clip(2), 160 * 11, np.random.default_rng(0), np.array([5, 6, 7, 8]))
    assert segment["units"].tolist() == [5, 5, 6, 6, 7, 7, 8, 8, 8, 8, 8]
