"""Metrics called on arrays and tensors: one clip, a padded batch and a list give the scores of ``Metric.score``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.clip import Waveform
from f2v_bench.datasets import grid_sentences
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import resample
from f2v_bench.metrics.base import (
    BatchScores,
    Column,
    Metric,
    MetricOptions,
    Need,
    PerClipMetric,
    Sample,
    Scores,
)
from f2v_bench.metrics.energy_rmse import EnergyRMSE
from f2v_bench.metrics.rmse_f0 import RMSEF0
from f2v_bench.metrics.stoi import STOI
from f2v_bench.metrics.wer import WER
from f2v_bench.registry import METRICS
from tests.metrics.conftest import RATE, make_speechlike
from tests.metrics.test_order import metric_called

COSTLY = frozenset({"dnsmos"})
FORMS = ("array", "tensor", "list", "padded array", "padded tensor")
TEXTS = ["bin blue at f two now", "lay red by z nine again", "place white"]


def padded(waves: list[np.ndarray]) -> np.ndarray:
    batch = np.zeros((len(waves), max(map(len, waves))), np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    return batch


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in COSTLY else ()) for n in METRICS.names() if n != "lse"],
)
def test_every_form_of_a_batch_gives_the_scores_of_its_clips(name: str) -> None:
    metric = metric_called(name)
    references = [make_speechlike(seconds, pitch) for seconds, pitch in ((1.0, 140), (0.8, 190), (1.2, 110))]
    rng = np.random.default_rng(0)
    waves = [(wave + 0.01 * rng.standard_normal(len(wave))).astype(np.float32) for wave in references]
    lengths = [len(wave) for wave in waves]
    samples = [
        Sample("c", Waveform(wave, RATE), Waveform(reference, RATE), text)
        for wave, reference, text in zip(waves, references, TEXTS, strict=True)
    ]
    direct = metric.score(samples)
    for form in FORMS:
        if form in ("array", "tensor"):
            convert = torch.from_numpy if form == "tensor" else np.asarray
            singles = [
                metric(convert(wave), convert(reference), sample_rate=RATE, text=text)
                for wave, reference, text in zip(waves, references, TEXTS, strict=True)
            ]
            assert all(type(one) is dict for one in singles)
            values = {column.name: [float(one[column.name]) for one in singles] for column in metric.columns}
        else:
            batch, real = (waves, references) if form == "list" else (padded(waves), padded(references))
            if form == "padded tensor":
                batch, real = torch.from_numpy(batch), torch.from_numpy(real)
            found = metric(
                batch, real, sample_rate=RATE, text=TEXTS, lengths=None if form == "list" else torch.tensor(lengths)
            )
            assert isinstance(found, BatchScores)
            assert not found.failures
            assert all(column.dtype == np.float64 and column.shape == (3,) for column in found.values())
            values = {name: column.tolist() for name, column in found.items()}
        assert list(values) == [column.name for column in metric.columns]
        for at, outcome in enumerate(direct):
            assert isinstance(outcome, Scores)
            for column in metric.columns:
                expected = outcome.values.get(column.name, math.nan)
                assert values[column.name][at] == pytest.approx(expected, abs=1e-5, nan_ok=True), (form, column.name)


class Level(PerClipMetric):
    """Largest sample, and the largest sample of the reference; a negative first sample fails the clip."""

    name = "level"
    columns = (Column("level", "", "", None, 0, 9, "level"), Column("other", "", "", None, 0, 9, "never defined"))
    needs = frozenset({Need.REFERENCE})
    sample_rate = RATE
    signature = "level:1"
    batch_size = 2

    def score_clip(self, sample: Sample) -> Scores:
        assert sample.reference is not None
        if sample.audio.samples[0] < 0:
            raise ClipFailure(FailureKind.TOO_SHORT, "negative")
        peaks = sample.audio.samples.max() - sample.reference.samples.max()
        return Scores({"level": float(peaks)}, undefined={"other": FailureKind.SILENT})


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=7),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
@settings(deadline=None, max_examples=60)
def test_a_batch_equals_one_clip_at_a_time(clips: list[tuple[int, bool]], kind: type) -> None:
    rng = np.random.default_rng(len(clips))
    waves = [np.abs(rng.random(length)).astype(kind) * (-1 if fails else 1) for length, fails in clips]
    references = [rng.random(length).astype(kind) for length, _ in clips]
    found = Level()(waves, references, sample_rate=RATE)
    assert isinstance(found, BatchScores)
    lengths = [length for length, _ in clips]
    again = Level()(padded(waves), padded(references), sample_rate=RATE, lengths=lengths)
    assert isinstance(again, BatchScores)
    np.testing.assert_array_equal(found["level"], again["level"])
    for at, (wave, reference) in enumerate(zip(waves, references, strict=True)):
        if clips[at][1] and wave[0] < 0:
            assert found.failures[at].kind is again.failures[at].kind is FailureKind.TOO_SHORT
            assert math.isnan(found["level"][at])
            with pytest.raises(ClipFailure, match="negative"):
                Level()(wave, reference, sample_rate=RATE)
        else:
            single = Level()(wave, reference, sample_rate=RATE)
            assert single["level"] == found["level"][at]
            assert math.isnan(single["other"])
            assert found.undefined[at] == {"other": FailureKind.SILENT}


def test_failed_clips_do_not_affect_the_others() -> None:
    good = make_speechlike(1.0)
    broken = good.copy()
    broken[5] = np.nan
    found = STOI()([good, broken, good[:0], np.zeros_like(good)], [good] * 4, sample_rate=RATE)
    assert isinstance(found, BatchScores)
    assert {at: failure.kind for at, failure in found.failures.items()} == {
        1: FailureKind.NOT_FINITE,
        2: FailureKind.EMPTY_AUDIO,
        3: FailureKind.SILENT,
    }
    assert found["stoi"][0] == pytest.approx(1.0)
    assert np.isnan(found["estoi"][1:]).all()
    with pytest.raises(ClipFailure) as caught:
        STOI()(np.zeros_like(good), good, sample_rate=RATE)
    assert caught.value.kind is FailureKind.SILENT


def test_an_undefined_column_is_nan_with_its_kind() -> None:
    voiced = make_speechlike(1.0)
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    found = RMSEF0()(noise[None], voiced[None], sample_rate=RATE)
    assert isinstance(found, BatchScores)
    assert math.isnan(found["rmse_f0"][0])
    assert found.undefined[0]["rmse_f0"] is FailureKind.NO_VOICED_OVERLAP
    assert not found.failures
    assert found["covoiced"][0] == 0.0


def test_other_sample_rates_are_resampled() -> None:
    audio, reference = make_speechlike(1.0, seed=1), make_speechlike(1.0)
    expected = EnergyRMSE()(*(resample(one[::2].copy(), 8_000, RATE) for one in (audio, reference)), sample_rate=RATE)
    assert EnergyRMSE()(audio[::2], torch.from_numpy(reference)[::2], sample_rate=8_000) == expected


def test_tensors_with_gradients_of_any_float_type_are_taken() -> None:
    audio, reference = torch.from_numpy(make_speechlike(1.0, seed=1)), torch.from_numpy(make_speechlike(1.0))
    plain = EnergyRMSE()(audio, reference, sample_rate=RATE)
    assert EnergyRMSE()(audio.clone().requires_grad_(), reference.double(), sample_rate=RATE) == plain
    half = EnergyRMSE()(audio.bfloat16(), reference, sample_rate=RATE)
    assert half == EnergyRMSE()(audio.bfloat16().float(), reference, sample_rate=RATE)


def test_inputs_of_other_metrics_are_ignored() -> None:
    audio = make_speechlike(1.0)
    plain = EnergyRMSE()(audio, audio, sample_rate=RATE)
    assert EnergyRMSE()(audio, audio, sample_rate=RATE, text="bin blue", video="none.mp4") == plain


def test_the_transcript_of_one_clip_is_a_string() -> None:
    metric = WER(MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx", "cache": "off"}))
    audio = make_speechlike(1.0)
    single = metric(audio, sample_rate=RATE, text="bin blue at f two now")
    batch = metric([audio], sample_rate=RATE, text=["bin blue at f two now"])
    assert {name: float(column[0]) for name, column in batch.items()} == single


def test_the_video_reaches_the_metric(tmp_path: Path) -> None:
    class Watch(PerClipMetric):
        name = "watch"
        columns = (Column("watch", "", "", None, 0, 9, "length of the name"),)
        needs = frozenset({Need.VIDEO})
        sample_rate = RATE
        signature = "watch:1"

        def score_clip(self, sample: Sample) -> Scores:
            assert sample.video is not None
            return Scores({"watch": float(len(sample.video.name))})

    audio = make_speechlike(0.1)
    assert Watch()(audio, sample_rate=RATE, video=tmp_path / "abc.mp4") == {"watch": 7.0}
    assert Watch()(audio[None], sample_rate=RATE, video=["ab.mp4"])["watch"].tolist() == [6.0]
    with pytest.raises(ValueError, match="compares with the video: pass video"):
        Watch()(audio, sample_rate=RATE)


def test_unsuitable_inputs_are_errors() -> None:
    audio = make_speechlike(0.5)
    metric = EnergyRMSE()
    with pytest.raises(ValueError, match="'energy_rmse' compares with real speech: pass reference"):
        metric(audio, sample_rate=RATE)
    with pytest.raises(ValueError, match=r"2 clips of audio, 1 references, 2 texts and 2 videos do not match"):
        metric([audio, audio], audio, sample_rate=RATE)
    with pytest.raises(ValueError, match="got int16: divide 16-bit integers by 32768"):
        metric((audio * 32768).astype(np.int16), audio, sample_rate=RATE)
    with pytest.raises(ValueError, match="got int64"):
        metric(torch.zeros(8000, dtype=torch.int64), audio, sample_rate=RATE)
    with pytest.raises(ValueError, match=r"audio must be \(n,\) or \(B, n\), got \(1, 1, 8000\)"):
        metric(audio[None, None], audio, sample_rate=RATE)
    with pytest.raises(ValueError, match=r"audio as a list must hold arrays \(n,\), got \(1, 8000\)"):
        metric([audio[None]], [audio], sample_rate=RATE)
    with pytest.raises(ValueError, match="lengths of audio must be 1 numbers up to 8000, got"):
        metric(audio[None], audio[None], sample_rate=RATE, lengths=[8001])
    with pytest.raises(ValueError, match="audio is a list: pass lengths=None"):
        metric([audio], [audio], sample_rate=RATE, lengths=[8000])


@pytest.mark.parametrize("name", METRICS.names())
def test_options_have_defaults(name: str) -> None:
    metric: type[Metric] = METRICS.load(name)
    try:
        assert metric().options == MetricOptions()
    except Exception as error:
        if type(error).__name__ != "MetricUnavailable":
            raise
        pytest.skip(str(error))
