"""SVTS in its published form: 20 video frames, 80 mel frames and 24,000 samples a second."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from baselines.svts import native_24khz as published
from baselines.svts.config import PRESETS, SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.native_24khz import Mels24k, example_24k, frames_at_20_fps, mel_24k_of_clip
from baselines.svts.spec import PARALLEL_WAVEGAN, SPEC
from baselines.svts.synthesis import Native24kHzSynthesizer
from baselines.svts.train import SVTSExperiment
from f2v_bench.assets import ASSETS, AssetMissing
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.registry import SYSTEMS
from f2v_bench.signal.mel_24k import log_mel
from f2v_bench.systems.base import SystemOptions
from tests.nn.parallel_wavegans import made_archive
from tests.reference_model.small import crops_of
from tests.training.staged import GROUND, noise_corpus, power_cut, same_state, train_options
from tests.training.toys import toy_features, toy_prepared

CONFIG = SVTSConfig(
    preset="small",
    form="24khz-pwg",
    frontend=VisualFrontendConfig("resnet"),
    conformer=ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5),
    **GROUND,
)
ASSET = PARALLEL_WAVEGAN


def noise_of(clip: Clip, sample_rate: int) -> Waveform:
    """Fake the media: half a second more of noise than any toy clip lasts."""
    assert sample_rate == 24_000
    rng = np.random.default_rng(len(clip.id))
    return Waveform(rng.uniform(-0.3, 0.3, 24_000).astype(np.float32), sample_rate)


def unwatched_count(_done: int, _all: int) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with noise_corpus(tmp_path_factory.mktemp("prepared")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "clip_audio", noise_of)
        yield


def build_experiment(folder: Path, config: SVTSConfig = CONFIG, **named: Any) -> SVTSExperiment:
    return SVTSExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run the one stage of a training."""
    folder = tmp_path_factory.mktemp("whole") / "svts-demo"
    training = build_experiment(folder)
    for stage in SVTSExperiment.stages:
        training.train(stage)
    assert training.export() == folder / "weights.safetensors"
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_archive(tmp_path_factory.mktemp("pwg"))


@pytest.fixture
def assets(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of assets with the vocoder in it."""
    (tmp_path / "assets").mkdir()
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path / "assets"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Path(shutil.copy(archive, tmp_path / "assets"))


def test_five_frames_become_four() -> None:
    assert frames_at_20_fps(10).tolist() == [0, 1, 3, 4, 5, 6, 8, 9]
    assert [frames_at_20_fps(frames).tolist() for frames in range(1, 6)] == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 1, 3, 3],
        [0, 1, 3, 4],
    ]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 74, 75])
def test_each_frame_is_on_the_screen_in_the_middle_of_its_time(frames: int) -> None:
    found = frames_at_20_fps(frames)
    assert len(found) == int(np.ceil(frames * 0.8))
    for tick, at in enumerate(found):
        middle = (tick + 0.5) / 20
        assert at / 25 <= middle < (at + 1) / 25 or (at == frames - 1 and middle >= frames / 25)


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 12])
def test_targets_are_the_clip_s_own_sound(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "clip_audio", noise_of)
    clip = Clip("a/0", "a", Path("a.mp4"), Path("a.mp4"), None, "train")
    mel = mel_24k_of_clip(clip, frames)
    item = example_24k(toy_features(frames), mel)
    assert len(item.sequences["lips"]) == item.frames == len(frames_at_20_fps(frames))
    assert mel.shape == (4 * item.frames, 80)
    own = noise_of(clip, 24_000).samples[: 960 * frames]  # what lies beyond the video is not heard
    inside = max(0, (960 * frames - 1024) // 300)
    np.testing.assert_allclose(mel[:inside], log_mel(own, 24_000)[:inside], atol=1e-4)
    assert mel.min() > -4  # no silence at the end that would have to be learnt


def test_mels_are_made_once_and_a_lost_clip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "clip_audio", noise_of)
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "cache"))
    prepared = toy_prepared(tmp_path, [6, 9])
    told: list[tuple[int, int]] = []
    mels = Mels24k(prepared, 1, lambda done, count: told.append((done, count)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert [len(mels[at]) for at in (0, 1)] == [20, 32]

    def lost(clip: Clip, _: int) -> Waveform:
        raise ClipFailure(FailureKind.FILE_MISSING, "gone")

    monkeypatch.setattr(published, "clip_audio", lost)
    np.testing.assert_array_equal(Mels24k(prepared, 1, unwatched_count)[1], mels[1])
    mels.files[1].unlink()
    with pytest.raises(F2VError, match="clip 'ann/1': file_missing: gone"):
        Mels24k(prepared, 1, unwatched_count)


@pytest.mark.parametrize(("size", "millions"), [("s", 27.3), ("m", 43.1), ("l", 87.6)])
def test_the_sizes_stay_the_paper_s(size: str, millions: float) -> None:
    config = PRESETS[f"{size}-pwg"]
    assert config == replace(PRESETS[size], preset=f"{size}-pwg", form="24khz-pwg")
    with torch.device("meta"):
        network = SVTS(config)
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_lip_features_of_25_fps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="has 20 video frames a second, and 'frozen' lip features 25") as error:
        build_experiment(tmp_path / "a", replace(CONFIG, frontend=VisualFrontendConfig("frozen")))
    assert "frontend.kind=resnet" in error.value.do
    assert not (tmp_path / "a").exists()


def test_one_stage_is_trained(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir() if path.is_dir()) == ["main"]
    weights = SPEC.checkpoint(whole / "weights.safetensors")
    assert weights.config == CONFIG
    assert weights.vocoder() is None
    assert weights.statistics["mel"][0] == pytest.approx(-0.4, abs=0.5)  # decimal logarithms of loud noise
    assert weights.provenance.endswith("preset small, sound by parallel-wavegan-libritts")


@pytest.mark.slow
def test_an_interrupted_training_resumes_to_equal_weights(whole: Path, tmp_path: Path) -> None:
    with power_cut(3):
        build_experiment(tmp_path / "killed").train("main")
    torch.manual_seed(77)  # another process
    build_experiment(tmp_path / "killed").train("main")
    assert same_state(whole, tmp_path / "killed")


def test_a_training_without_the_form_resumes(tmp_path: Path, noise: None) -> None:
    suite = replace(CONFIG, form="16khz")
    build_experiment(tmp_path / "before", suite)
    file = tmp_path / "before" / "settings.yaml"
    settings = yaml.safe_load(file.read_text())
    del settings["form"]
    file.write_text(yaml.safe_dump(settings))
    build_experiment(tmp_path / "before", suite)
    with pytest.raises(F2VError, match="other settings under 'form': '16khz', not '24khz-pwg'"):
        build_experiment(tmp_path / "before")


def test_a_missing_vocoder_is_refused_at_once(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AssetMissing, match=ASSET) as error:
        SYSTEMS.load("svts")(SystemOptions(weights=str(whole / "weights.safetensors")))
    assert "drive.google.com" in error.value.do
    assert ASSETS[ASSET].filename in error.value.do


def test_another_file_in_its_place_is_refused_at_once(whole: Path, assets: Path) -> None:
    assets.write_text("<html>Sign in</html>")
    with pytest.raises(F2VError, match="cannot be read as an archive"):
        SYSTEMS.load("svts")(SystemOptions(weights=str(whole / "weights.safetensors")))


def test_it_synthesizes_at_24_khz(whole: Path, assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = SYSTEMS.load("svts")(SystemOptions(weights=str(whole / "weights.safetensors")))
    assert system.sample_rate == 24_000
    assert ASSET in system.provenance
    monkeypatch.setattr(system, "_reference", lambda clip, seed: np.ones(16_000, np.float32))
    clips = [Clip(f"a/{at}", "a", Path("a.mp4"), None, None, "test") for at in range(2)]
    made = system.synthesize_clips(clips, [crops_of(6, 1), crops_of(4, 2)], 0)
    for one, frames in zip(made, (6, 4), strict=True):
        assert one.sample_rate == 24_000
        assert one.samples.shape == (960 * frames,)
        assert one.samples.std() > 1e-3
    before = system.fingerprint(clips[0], 0)
    made_archive(assets.parent / "other", seed=5).replace(assets)
    again = SYSTEMS.load("svts")(SystemOptions(weights=str(whole / "weights.safetensors")))
    assert again.fingerprint(clips[0], 0) != before


def test_a_clip_alone_is_the_clip_in_a_batch(whole: Path, assets: Path) -> None:
    synthesizer = Native24kHzSynthesizer(SPEC.checkpoint(whole / "weights.safetensors"), {}, "cpu")
    crops = [crops_of(frames, frames) for frames in (9, 4, 1)]
    voices = list(np.eye(256, dtype=np.float32)[:3])
    together = synthesizer.synthesize(crops, [np.random.default_rng(at) for at in range(3)], voices)
    for at, made in enumerate(together):
        (alone,) = synthesizer.synthesize([crops[at]], [np.random.default_rng(at)], [voices[at]])
        assert made.shape == (960 * len(crops[at].lips),)
        np.testing.assert_allclose(made, alone, atol=2e-3)


def test_it_has_four_of_five_frames(whole: Path, assets: Path) -> None:
    synthesizer = Native24kHzSynthesizer(SPEC.checkpoint(whole / "weights.safetensors"), {}, "cpu")
    crops, voice = crops_of(5), [np.eye(256, dtype=np.float32)[0]]

    def said(**changed: NDArray[Any]) -> NDArray[np.float32]:
        return synthesizer.synthesize([replace(crops, **changed)], [np.random.default_rng(0)], voice)[0]

    def without(frame: int) -> NDArray[np.uint8]:
        lips = crops.lips.copy()
        lips[frame] = 0
        return lips

    np.testing.assert_array_equal(said(lips=without(2)), said())
    assert not np.allclose(said(lips=without(3)), said(), atol=1e-4)
