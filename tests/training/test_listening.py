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
from f2v_bench.training.callbacks import SpeechMetricsCallback
from tests.clips import babble


class Notes:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.said: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.said.append((step, metrics))


def trainer(*loggers: Any, rank: int = 0, world: int = 1) -> Any:
    return SimpleNamespace(
        is_global_zero=rank == 0,
        global_rank=rank,
        world_size=world,
        global_step=7,
        loggers=list(loggers),
        callback_metrics={},
    )


REAL = [babble(1.5, seed) for seed in range(4)]


def test_real_speech_has_no_error() -> None:
    notes, where = Notes(), trainer()
    where.loggers.append(notes)
    listening = SpeechMetricsCallback(lambda at: REAL[at], REAL, [None] * 4, "grid")
    for _ in range(2):  # each validation by itself
        listening.on_validation_end(where, None)  # type: ignore[arg-type]
    assert [step for step, _ in notes.said] == [7, 7]
    for _, values in notes.said:
        assert set(values) == {"val/rmse_f0", "val/estoi"}, "no word error rate without transcripts"
        assert values["val/rmse_f0"] == pytest.approx(0, abs=1e-4)
        assert values["val/estoi"] == pytest.approx(1, abs=1e-4)
    assert float(where.callback_metrics["val/estoi"]) == pytest.approx(1, abs=1e-4)


def test_other_speech_has() -> None:
    notes = Notes()
    SpeechMetricsCallback(lambda at: REAL[at - 1], REAL, [None] * 4, None).on_validation_end(trainer(notes), None)  # type: ignore[arg-type]
    assert notes.said[0][1]["val/estoi"] < 0.8


def test_devices_share_the_clips_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each speaks its own, and all of them add up, as torchmetrics does; the first alone writes."""
    spoken: list[list[int]] = []
    computed: list[int] = []
    compute = TorchMetric.compute
    for rank in range(3):
        own: list[int] = []
        notes = Notes()

        def speak(at: int, own: list[int] = own) -> np.ndarray[Any, np.dtype[np.float32]]:
            own.append(at)
            return REAL[at]

        def counted(metric: TorchMetric, rank: int = rank) -> dict[str, torch.Tensor]:
            computed.append(rank)
            return compute(metric)

        monkeypatch.setattr(TorchMetric, "compute", counted)
        SpeechMetricsCallback(speak, REAL, [None] * 4, None).on_validation_end(trainer(notes, rank=rank, world=3), None)  # type: ignore[arg-type]
        spoken.append(own)
        assert bool(notes.said) == (rank == 0)
    assert spoken == [[0, 3], [1], [2]]
    assert computed == [0, 0, 1, 1, 2, 2]


@pytest.mark.slow
def test_words_are_recognised_under_the_corpus_grammar() -> None:
    demo = Demo(DatasetOptions())
    clips = list(demo.clips())[:3]
    real = [clip_audio(clip, 16_000).samples for clip in clips]
    rates = []
    for shift in (0, 1):
        notes = Notes()
        listening = SpeechMetricsCallback(
            lambda at, s=shift: real[at - s], real, [clip.text for clip in clips], demo.grammar
        )  # type: ignore[misc]
        listening.on_validation_end(trainer(notes), None)  # type: ignore[arg-type]
        rates.append(notes.said[0][1]["val/wer"])
    assert rates[0] < 0.5 < rates[1]


def test_the_first_clips_are_shown(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoardLogger(tmp_path, name="", version="tensorboard")
    SpeechMetricsCallback(lambda at: REAL[at][:9000], REAL, [None] * 4, None).on_validation_end(trainer(board), None)  # type: ignore[arg-type]
    board.finalize("success")
    tags = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()
    assert set(tags["images"]) == {f"clip{at}/real_below_made" for at in range(3)}
    assert set(tags["audio"]) == {f"clip{at}/{name}" for at in range(3) for name in ("real", "made")}
    assert "val/estoi" in tags["scalars"]
