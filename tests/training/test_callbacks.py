from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.demo import Demo
from f2v_bench.media import clip_audio
from f2v_bench.metrics.torch import TorchMetric
from f2v_bench.training.callbacks import SpeechMetricsCallback, ThroughputCallback
from tests.clips import babble


class RecordingLogger:
    """Logger that keeps metrics in memory."""

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.records.append((step, metrics))


def trainer(*loggers: Any, rank: int = 0, world_size: int = 1) -> Any:
    return SimpleNamespace(
        is_global_zero=rank == 0,
        global_rank=rank,
        world_size=world_size,
        global_step=7,
        loggers=list(loggers),
        callback_metrics={},
    )


REAL = [babble(1.5, seed) for seed in range(4)]


def test_reference_audio_has_no_error() -> None:
    logger = RecordingLogger()
    fake = trainer(logger)
    callback = SpeechMetricsCallback(lambda at: REAL[at], REAL, [None] * 4, "grid")
    for _ in range(2):  # each validation by itself
        callback.on_validation_end(fake, None)  # type: ignore[arg-type]
    assert [step for step, _ in logger.records] == [7, 7]
    for _, values in logger.records:
        assert set(values) == {"val/rmse_f0", "val/estoi"}, "there is no word error rate without transcripts"
        assert values["val/rmse_f0"] == pytest.approx(0, abs=1e-4)
        assert values["val/estoi"] == pytest.approx(1, abs=1e-4)
    assert float(fake.callback_metrics["val/estoi"]) == pytest.approx(1, abs=1e-4)


def test_other_audio_has_an_error() -> None:
    logger = RecordingLogger()
    SpeechMetricsCallback(lambda at: REAL[at - 1], REAL, [None] * 4, None).on_validation_end(trainer(logger), None)  # type: ignore[arg-type]
    assert logger.records[0][1]["val/estoi"] < 0.8


def test_devices_split_the_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device synthesizes its share, compute gathers all scores, and the first device logs."""
    synthesized: list[list[int]] = []
    computed: list[int] = []
    compute = TorchMetric.compute
    for rank in range(3):
        own: list[int] = []
        logger = RecordingLogger()

        def synthesize(at: int, own: list[int] = own) -> np.ndarray[Any, np.dtype[np.float32]]:
            own.append(at)
            return REAL[at]

        def counted(metric: TorchMetric, rank: int = rank) -> dict[str, torch.Tensor]:
            computed.append(rank)
            return compute(metric)

        monkeypatch.setattr(TorchMetric, "compute", counted)
        SpeechMetricsCallback(synthesize, REAL, [None] * 4, None).on_validation_end(
            trainer(logger, rank=rank, world_size=3), None
        )  # type: ignore[arg-type]
        synthesized.append(own)
        assert bool(logger.records) == (rank == 0)
    assert synthesized == [[0, 3], [1], [2]]
    assert computed == [0, 0, 1, 1, 2, 2]


@pytest.mark.slow
def test_words_are_recognized_with_the_grammar_of_the_corpus() -> None:
    demo = Demo(DatasetOptions())
    clips = list(demo.clips())[:3]
    real = [clip_audio(clip, 16_000).samples for clip in clips]
    rates = []
    for shift in (0, 1):
        logger = RecordingLogger()
        callback = SpeechMetricsCallback(
            lambda at, s=shift: real[at - s], real, [clip.text for clip in clips], demo.grammar
        )  # type: ignore[misc]
        callback.on_validation_end(trainer(logger), None)  # type: ignore[arg-type]
        rates.append(logger.records[0][1]["val/wer"])
    assert rates[0] < 0.5 < rates[1]


def test_the_first_clips_are_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="", version="tensorboard")
    SpeechMetricsCallback(lambda at: REAL[at][:9000], REAL, [None] * 4, None).on_validation_end(trainer(logger), None)  # type: ignore[arg-type]
    logger.finalize("success")
    tags = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()
    assert set(tags["images"]) == {f"clip{at}/real_below_made" for at in range(3)}
    assert set(tags["audio"]) == {f"clip{at}/{name}" for at in range(3) for name in ("real", "made")}
    assert "val/estoi" in tags["scalars"]


def test_throughput_is_hours_of_audio_per_hour() -> None:
    callback = ThroughputCallback(1000, print)
    callback.processed_hours, callback.steps_since_start = 0.5, 100
    assert callback.describe(300, 60.0) == "audio: step 300 of 1,000, 30 hours of audio an hour, 7 min left"
