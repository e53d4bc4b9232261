"""Callbacks of the trainer: metrics of synthesized validation clips, TensorBoard logs, and throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from f2v_bench.metrics.base import MetricOptions
from f2v_bench.metrics.rmse_f0 import RMSEF0
from f2v_bench.metrics.stoi import STOI
from f2v_bench.metrics.torch import TorchMetric
from f2v_bench.metrics.wer import WER
from f2v_bench.modeling.batch import Batch
from f2v_bench.signal.mel import HOP, log_mel
from f2v_bench.timing import FPS, SAMPLE_RATE

LOGGED_CLIPS = 3  # clips of a validation that TensorBoard gets
_LOGGED_METRICS = ("wer", "rmse_f0", "estoi")
_FIRST_REPORT, _REPORT_EVERY = 50, 1000  # steps

#: synthesis of a validation clip by its index: float32 ``(n,)`` at 16 kHz, with the present weights
SynthesizeClip = Callable[[int], NDArray[np.float32]]


class SpeechMetricsCallback(lightning.Callback):
    """Word error rate, F0 error and ESTOI of synthesized validation clips.

    Args:
        synthesize: synthesis of a clip by its index.
        references: reference audio of each clip, float32 ``(n,)`` at 16 kHz.
        texts: transcripts of the clips; without all of them, or without a grammar, there is no word error rate.
        grammar: JSGF grammar of the corpus's sentences.
    """

    def __init__(
        self,
        synthesize: SynthesizeClip,
        references: Sequence[NDArray[np.float32]],
        texts: Sequence[str | None],
        grammar: str | None,
    ) -> None:
        self.synthesize, self.references, self.texts = synthesize, references, [text or "" for text in texts]
        self.metrics = [TorchMetric(RMSEF0(MetricOptions())), TorchMetric(STOI(MetricOptions()), SAMPLE_RATE)]
        if grammar and all(texts):
            self.metrics.append(TorchMetric(WER(MetricOptions(grammar=grammar))))

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Synthesize and score the clips, and log the values."""
        for metric in self.metrics:
            metric.reset()
        # every device synthesizes its share of the clips; compute gathers the scores of all devices
        for index in range(trainer.global_rank, len(self.references), trainer.world_size):
            reference, audio = self.references[index], self.synthesize(index)
            for metric in self.metrics:
                metric.update(
                    torch.from_numpy(audio)[None],
                    reference=torch.from_numpy(reference)[None],
                    reference_lengths=[len(reference)],
                    text=[self.texts[index]],
                )
            if index < LOGGED_CLIPS * trainer.world_size:
                log_clip(trainer.loggers, trainer.global_step, index, reference, audio)
        values = {name: value for metric in self.metrics for name, value in metric.compute().items()}
        logged = {f"val/{name}": float(values[name]) for name in _LOGGED_METRICS if name in values}
        for logger in trainer.loggers if trainer.is_global_zero else ():
            logger.log_metrics(logged, step=trainer.global_step)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in logged.items()})


def log_clip(
    loggers: Iterable[Any], step: int, index: int, reference: NDArray[np.float32], audio: NDArray[np.float32]
) -> None:
    """Log mel spectrograms and audio of a clip to TensorBoard, if it is among the loggers.

    Args:
        loggers: loggers of the trainer.
        step: optimizer step.
        index: index of the clip among those logged.
        reference: reference audio ``(n,)`` at 16 kHz.
        audio: synthesized audio ``(m,)`` at 16 kHz.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            frames = min(len(reference), len(audio)) // HOP
            mels = np.concatenate([log_mel(one, SAMPLE_RATE)[:frames] for one in (reference, audio)], axis=1).T[::-1]
            image = (mels - mels.min()) / max(float(np.ptp(mels)), 1e-6)  # (160, T)
            writer = logger.experiment
            writer.add_image(f"clip{index}/real_below_made", image.copy(), step, dataformats="HW")
            for name, samples in (("real", reference), ("made", audio)):
                writer.add_audio(f"clip{index}/{name}", samples, step, SAMPLE_RATE)


class ThroughputCallback(lightning.Callback):
    """Hours of audio processed in an hour of training, and the time that is left.

    Args:
        steps: optimizer steps of the whole stage.
        log: called with a message after 50 steps and after every 1,000.
    """

    def __init__(self, steps: int, log: Callable[[str], None]) -> None:
        self.steps = steps
        self.log_message = log  # Lightning replaces an attribute ``log`` by the module's
        self.processed_hours = 0.0  # of audio since the start
        self.steps_since_start = 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.start_time = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Count the batch, and log the throughput when it is due."""
        self.processed_hours += float(batch["lengths"].sum()) / FPS / 3600 * trainer.world_size
        self.steps_since_start += 1
        done = int(batch["step"]) + 1
        is_due = self.steps_since_start == _FIRST_REPORT or done % _REPORT_EVERY == 0 or done == self.steps
        if trainer.is_global_zero and is_due:
            self.log_message(self.describe(done, time.perf_counter() - self.start_time))

    def describe(self, done: int, seconds: float) -> str:
        """Return the message after ``done`` steps of the stage, ``seconds`` after the start."""
        left = round((self.steps - done) * seconds / self.steps_since_start / 60)
        speed = self.processed_hours / seconds * 3600
        return f"audio: step {done:,} of {self.steps:,}, {speed:,.0f} hours of audio an hour, {left} min left"
