from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import resample
from f2v_bench.metrics.base import Aggregate, Column, Metric, MetricOptions, Need, Sample, Scores
from f2v_bench.metrics.stoi import STOI
from f2v_bench.metrics.torch import TorchMetric
from f2v_bench.scoring.statistics import estimate
from tests.clips import RATE, babble

ROOT = Path(__file__).resolve().parents[2]


def batch(*seconds: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    waves = [babble(length, seed + at) for at, length in enumerate(seconds)]
    padded = np.zeros((len(waves), max(map(len, waves))), np.float32)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    return torch.from_numpy(padded), torch.tensor([len(wave) for wave in waves])


class Levels(Metric):
    """Mean level under all three aggregates, weighted by words; a single word has no value."""

    name = "levels"
    columns = tuple(Column(a.value, a.value, "", None, 0, 9, "level", aggregate=a) for a in Aggregate)
    needs = frozenset({Need.TEXT})
    sample_rate = RATE
    signature = "levels:1"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        outcomes: list[Scores | ClipFailure] = []
        for sample in batch:
            words, level = len((sample.text or "").split()), float(np.abs(sample.audio.samples).mean())
            if not words:
                outcomes.append(ClipFailure(FailureKind.TEXT_MISSING, "no words"))
            elif words == 1:
                outcomes.append(
                    Scores({"mean": level}, undefined=dict.fromkeys(("ratio", "rms"), FailureKind.TOO_SHORT))
                )
            else:
                outcomes.append(Scores(dict.fromkeys(("mean", "ratio", "rms"), level), {"ratio": words, "rms": words}))
        return outcomes


def test_aggregates_equal_those_of_a_run() -> None:
    metric, seconds, texts = TorchMetric(Levels(MetricOptions())), (0.5, 0.8, 0.3, 0.6), ["a b", "a b c d", "a", ""]
    audio, lengths = batch(*seconds)
    metric.update(audio[:1], lengths[:1], text=texts[:1])
    metric.update(audio[1:], lengths[1:], text=texts[1:])
    levels = [float(np.abs(babble(length, at)).mean()) for at, length in enumerate(seconds)]
    found = metric.compute()
    for name, upto, weights in (("mean", 3, [1, 1, 1]), ("ratio", 2, [2, 4]), ("rms", 2, [2, 4])):
        expected = estimate(levels[:upto], weights, ["a"] * upto, name, 4)
        assert float(found[name]) == pytest.approx(expected.value, rel=1e-6)
        assert float(found[f"{name}_coverage"]) == pytest.approx(upto / 4)
    assert metric.failures == {"text_missing": 1, "too_short": 2}


def test_padding_and_batch_layout_change_nothing() -> None:
    audio, lengths = batch(1.2, 0.8, 1.0)
    noisy = audio + 0.02 * torch.randn(audio.shape, generator=torch.Generator().manual_seed(0))
    whole, single = TorchMetric(STOI(MetricOptions())), TorchMetric(STOI(MetricOptions()))
    whole.update(noisy, lengths, reference=audio)
    for at, length in enumerate(lengths.tolist()):
        single.update(noisy[at : at + 1, :length], reference=audio[at : at + 1, :length])
    assert whole.compute() == single.compute()
    direct = STOI(MetricOptions()).score(
        [
            Sample("c", Waveform(noisy[at, :n].numpy().copy(), RATE), Waveform(audio[at, :n].numpy().copy(), RATE))
            for at, n in enumerate(lengths.tolist())
        ]
    )
    values = [one.values["stoi"] for one in direct if isinstance(one, Scores)]
    assert float(whole.compute()["stoi"]) == pytest.approx(np.mean(values), abs=1e-6)


def test_another_rate_is_resampled() -> None:
    audio, _ = batch(1.0)
    metric = TorchMetric(Levels(MetricOptions()), sample_rate=8_000)
    metric.update(audio[:, ::2], text=["a b"])
    level = float(np.abs(resample(audio[0, ::2].numpy().copy(), 8_000, RATE)).mean())
    assert float(metric.compute()["mean"]) == pytest.approx(level, rel=1e-6)


def test_reset_drops_clips_and_no_clips_give_nan() -> None:
    metric = TorchMetric(Levels(MetricOptions()))
    audio, lengths = batch(0.5)
    metric.update(audio, lengths, text=["a b"])
    metric.reset()
    found = metric.compute()
    assert math.isnan(float(found["mean"]))
    assert float(found["mean_coverage"]) == 0


def test_broken_audio_is_counted_and_does_not_affect_others() -> None:
    metric = TorchMetric(Levels(MetricOptions()))
    audio, _ = batch(0.5, 0.5, 0.5)
    audio[0, 3] = float("nan")
    metric.update(audio, [8000, 0, 8000], text=["a b"] * 3)
    assert metric.failures == {"not_finite": 1, "empty_audio": 1}
    assert float(metric.compute()["mean_coverage"]) == pytest.approx(1 / 3)
    assert float(metric.compute()["mean"]) == pytest.approx(float(np.abs(babble(0.5, 2)).mean()), rel=1e-6)


def test_unsuitable_inputs_are_errors() -> None:
    audio, lengths = batch(0.5, 0.5)
    with pytest.raises(ValueError, match="pass reference"):
        TorchMetric(STOI(MetricOptions())).update(audio, lengths)
    levels = TorchMetric(Levels(MetricOptions()))
    with pytest.raises(ValueError, match="pass text"):
        levels.update(audio, lengths)
    with pytest.raises(ValueError, match=r"\(B, n\), got \(8000,\)"):
        levels.update(audio[0], text=["a"])
    with pytest.raises(ValueError, match="2 numbers up to 8000"):
        levels.update(audio, [8000, 8001], text=["a", "b"])
    with pytest.raises(ValueError, match="do not match"):
        levels.update(audio, lengths, text=["a"])


def test_a_metric_of_the_video_is_refused() -> None:
    class NeedsVideo(Levels):
        needs = frozenset({Need.VIDEO})

    with pytest.raises(ValueError, match="needs the video"):
        TorchMetric(NeedsVideo(MetricOptions()))


@pytest.mark.slow
def test_two_processes_give_the_number_of_one(tmp_path: Path) -> None:
    script = """
import sys, torch
from f2v_bench.metrics.torch import TorchMetric
from f2v_bench.metrics.base import MetricOptions
from tests.metrics.test_torch import Levels, batch
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
audio, lengths = batch(0.5, 0.8, 0.3)
part = slice(0, 1) if rank == 0 else slice(1, 3)
metric = TorchMetric(Levels(MetricOptions()))
metric.update(audio[part], lengths[part], text=["a b", "a b c d", "a"][part])
sys.stdout.write(repr([round(float(v), 6) for v in metric.compute().values()]))
"""
    commands = [[sys.executable, "-c", script, str(rank), str(tmp_path / "meet")] for rank in range(2)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for command in commands]
    outputs = [process.communicate(timeout=600)[0] for process in started]
    alone = TorchMetric(Levels(MetricOptions()))
    audio, lengths = batch(0.5, 0.8, 0.3)
    alone.update(audio, lengths, text=["a b", "a b c d", "a"])
    expected = repr([round(float(value), 6) for value in alone.compute().values()])
    assert outputs == [expected, expected]
