"""The main stage: statistics, examples, validation, and that the model can learn."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.batch import collate
from f2v_bench.training.data.dataset import ClipDataset, UnitLabeler
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import prepare
from f2v_bench.training.module import ModelModule
from reference_model.config import FlowConfig
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.train_data import SpeakerStats, compute_statistics, speaker_stats, training_example
from tests.reference_model.small import SMALL, STATISTICS, batch_of
from tests.training.toys import demo_clips, toy_features


def voiced_at(hertz: list[float], seed: int = 0) -> ClipFeatures:
    targets = toy_features(len(hertz), seed)
    return replace(targets, f0=np.repeat(np.array(hertz, np.float32), 4))


def test_means_and_deviations_are_those_of_all_frames_and_pitch_of_the_voiced_ones() -> None:
    clips = [voiced_at([0, 100, 100, 0]), voiced_at([200, 200], seed=1)]
    found = compute_statistics(clips)
    mel = np.concatenate([clip.mel for clip in clips])
    np.testing.assert_allclose(found.mel, (mel.mean(), mel.std()), rtol=1e-5)
    np.testing.assert_allclose(found.pitch, (np.log(100 * 2**0.5), np.log(2) / 2), rtol=1e-5)
    energy = np.concatenate([clip.energy for clip in clips])
    np.testing.assert_allclose(found.energy, (energy.mean(), energy.std()), rtol=1e-5)


def test_a_speaker_s_pitch_is_standardized_over_the_corpus() -> None:
    statistics = DataStatistics(pitch=(float(np.log(100)), 0.5))
    clips = [
        ("ann", voiced_at([200, 0, 200])),
        ("bob", voiced_at([100, 0])),
        ("ann", voiced_at([50, 50])),
        ("mute", voiced_at([0, 0])),
    ]
    found = speaker_stats(iter(clips), statistics)
    assert [stats.speaker_id for stats in found.values()] == [0, 1, 2]
    pitches = {name: stats.pitch_stats for name, stats in found.items()}
    np.testing.assert_allclose(pitches["ann"], [0, 2 * np.log(2)], atol=1e-6)  # two octaves apart, evenly
    np.testing.assert_allclose(pitches["bob"], [0, 0.05], atol=1e-6)  # a monotone voice has some room left
    np.testing.assert_allclose(pitches["mute"], [0, 1])
    assert all(pitch.dtype == np.float32 for pitch in pitches.values())


def test_an_example_has_the_inputs_and_targets_of_the_model() -> None:
    targets = toy_features(6)
    labels = np.arange(12)
    features = np.ones((6, *SMALL.lips.outputs), np.float32)
    speaker = SpeakerStats(3, np.zeros(2, np.float32))
    example = training_example(targets, features, lambda _: labels, speaker, targets.identity[:2])  # type: ignore[arg-type]
    batch = collate([example])
    wanted = batch_of([6])
    assert {name: (tensor.shape[1:], tensor.dtype) for name, tensor in batch.items() if name in wanted} == {
        name: (tensor.shape[1:], tensor.dtype) for name, tensor in wanted.items()
    }


def training(seed: int = 0) -> ModelModule:
    return ModelModule(FacesToVoices(SMALL, STATISTICS), SMALL, asdict(STATISTICS), seed)


def test_a_module_carries_its_settings_and_measures_the_same_twice() -> None:
    module = training(3)
    assert module.hparams["config"]["content"]["width"] == SMALL.content.width
    assert DataStatistics(**module.hparams["statistics"]) == STATISTICS
    logged: list[dict[str, torch.Tensor]] = []
    module.log_dict = lambda values, **_: logged.append(values)  # type: ignore[method-assign]
    before = torch.get_rng_state()
    for _ in range(2):
        module.validation_step(batch_of([6, 4], 1), 0)
    assert torch.equal(torch.get_rng_state(), before)  # validation leaves the generator as it was
    assert logged[0].keys() == logged[1].keys() >= {"val/mel", "val/flow", "val/pitch", "val/units_masked"}
    assert all(torch.equal(value, logged[1][name]) for name, value in logged[0].items())


def test_the_distance_of_mels_is_over_real_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = training(), batch_of([6, 4], 2)
    real = batch["mask"].repeat_interleave(4, 1)[..., None]
    monkeypatch.setattr(
        FacesToVoices,
        "synthesize",
        lambda *_, **__: ModelOutput(torch.where(real, batch["mel"] + 0.25, batch["mel"] + 100)),
    )
    logged: list[dict[str, torch.Tensor]] = []
    module.log_dict = lambda values, **_: logged.append(values)  # type: ignore[method-assign]
    module.validation_step(batch, 0)
    torch.testing.assert_close(logged[0]["val/mel"], torch.tensor(0.25))


def test_a_validation_clip_is_synthesized_the_same_each_time() -> None:
    module, batch = training(), batch_of([5])
    first, again = (module.predict(batch, 2) for _ in range(2))
    assert isinstance(first, ModelOutput)
    assert [field.shape for field in first] == [(20, 80), (20,), (20,)]
    assert all(field.dtype == torch.float32 for field in first)
    assert all(torch.equal(field, other) for field, other in zip(first, again, strict=True))
    assert not torch.allclose(module.predict(batch, 3).mel, first.mel, atol=1e-3)


def test_random_numbers_of_a_step_depend_on_seed_and_step_alone() -> None:
    def step(seed: int, number: int) -> float:
        torch.manual_seed(0)
        module = training(seed)
        module.log_dict = module.log = lambda *_, **__: None  # type: ignore[assignment, method-assign]
        torch.manual_seed(number)  # whatever was drawn before
        return float(module.training_step(batch_of([8, 6]) | {"step": torch.tensor(number)}, 0).detach())

    assert step(0, 1) == step(0, 1)
    assert step(0, 1) != step(0, 2)
    assert step(0, 1) != step(1, 1)


def lip_features(lips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return features that differ by frame, shaped as the lip encoder's: brightness over time in 16 fields."""
    fields = lips.reshape(len(lips), 4, 24, 4, 24).mean((2, 4)).reshape(len(lips), -1)
    standardized = ((fields - fields.mean(0)) / fields.std(0)).astype(np.float32)
    return np.reshape(standardized, (-1, *SMALL.lips.outputs))


@pytest.mark.slow
def test_four_clips_are_overfitted(tmp_path: Path) -> None:
    """To a mel L1 of 0.34 nats, and mu to 0.36, where the mean of all mels is off by 1.43; noise adds 0.2."""
    torch.manual_seed(0)
    steps, rate = 400, 4e-3
    config = replace(
        SMALL,
        content=replace(SMALL.content, width=64, dropout=0.0),
        timbre=replace(SMALL.timbre, audio_probability=0.0),
        prosody=replace(SMALL.prosody, dropout=0.0, blocks=2),
        condition=replace(SMALL.condition, dropout=0.0),
        flow=FlowConfig(width=64, heads=2, dropout=0, condition_dropout=0, guidance=1.0, steps=8),
    )
    demo = demo_clips(4)
    clips = ClipDataset(prepare(demo, 1))
    units = UnitLabeler(config.units, tmp_path / "units.npz", clips)
    pairs = [(clip.speaker, clips[at]) for at, clip in enumerate(demo)]
    statistics = compute_statistics([one for _, one in pairs])
    known = speaker_stats(pairs, statistics)
    batch = collate(
        [
            training_example(one, lip_features(one.lips), units, known[speaker], one.identity[:2])
            for speaker, one in pairs
        ]  # type: ignore[arg-type]
    )
    model = FacesToVoices(config, statistics)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    mask = batch["mask"].repeat_interleave(4, 1)[..., None]

    def distance(mel: torch.Tensor) -> float:
        return float(((mel - batch["mel"]).abs() * mask).sum() / (80 * mask.sum()))

    for _ in range(steps):
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    noise = torch.randn(batch["mel"].shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mu = model(batch).inputs.mu * statistics.mel[1] + statistics.mel[0]
    assert distance(torch.full_like(mu, statistics.mel[0])) > 1.4
    assert distance(mu) < 0.4
    assert distance(model.synthesize(batch, noise, temperature=0.0).mel) < 0.4
    assert distance(model.synthesize(batch, noise, temperature=0.5).mel) < 0.65
