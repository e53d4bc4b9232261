"""Real metrics on the way: every validation, a few clips are spoken, recognised, measured and shown to TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray

from f2v_bench.metrics.base import MetricOptions
from f2v_bench.metrics.rmse_f0 import RMSEF0
from f2v_bench.metrics.stoi import STOI
from f2v_bench.metrics.torch import TorchMetric
from f2v_bench.metrics.wer import WER
from f2v_bench.modeling.batch import Batch
from f2v_bench.signal.mel import HOP, log_mel
from f2v_bench.timing import FPS, SAMPLE_RATE

_LOGGED = ("wer", "rmse_f0", "estoi")

#: the samples of a validation clip, float32 ``(n,)`` at 16 kHz, from the network as it stands
SynthesizeClip = Callable[[int], NDArray[np.float32]]


class SpeechMetricsCallback(lightning.Callback):
    """Word error rate by the corpus's recogniser, F0 error and ESTOI of spoken validation clips.

    Args:
        speak: says a clip.
        real: the real speech of each clip, float32 ``(n,)`` at 16 kHz.
        texts: their transcripts; without all of them, or without a grammar, there is no word error rate.
        grammar: of the corpus's sentences.
    """

    def __init__(
        self,
        speak: SynthesizeClip,
        real: Sequence[NDArray[np.float32]],
        texts: Sequence[str | None],
        grammar: str | None,
    ) -> None:
        self.speak, self.real, self.texts = speak, real, [text or "" for text in texts]
        self.metrics = [TorchMetric(RMSEF0(MetricOptions())), TorchMetric(STOI(MetricOptions()), SAMPLE_RATE)]
        if grammar and all(texts):
            self.metrics.append(TorchMetric(WER(MetricOptions(grammar=grammar))))

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        for metric in self.metrics:
            metric.reset()
        # every device speaks its share: compute adds all of them up, and waits for all
        for at in range(trainer.global_rank, len(self.real), trainer.world_size):
            real, made = self.real[at], self.speak(at)
            for metric in self.metrics:
                metric.update(
                    torch.from_numpy(made)[None], reference=torch.from_numpy(real)[None],
                    reference_lengths=[len(real)], text=[self.texts[at]],
                )  # fmt: skip
            if at < SHOWN * trainer.world_size:
                show_clip(trainer.loggers, trainer.global_step, at, real, made)
        values = {name: value for metric in self.metrics for name, value in metric.compute().items()}
        chosen = {f"val/{name}": float(values[name]) for name in _LOGGED if name in values}
        for logger in trainer.loggers if trainer.is_global_zero else ():
            logger.log_metrics(chosen, step=trainer.global_step)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in chosen.items()})


SHOWN = 3  # clips of a validation


def show_clip(
    loggers: Iterable[Any], step: int, place: int, real: NDArray[np.float32], made: NDArray[np.float32]
) -> None:
    """Show a clip to those of Lightning's loggers that draw.

    Args:
        loggers: of the trainer.
        step: of the training.
        place: of the clip among those shown.
        real: samples ``(n,)`` at 16 kHz.
        made: what stands for them, ``(m,)``.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            frames = min(len(real), len(made)) // HOP
            mels = np.concatenate([log_mel(one, SAMPLE_RATE)[:frames] for one in (real, made)], axis=1).T[::-1]
            picture = (mels - mels.min()) / max(float(np.ptp(mels)), 1e-6)  # (160, T)
            board = logger.experiment
            board.add_image(f"clip{place}/real_below_made", picture.copy(), step, dataformats="HW")
            for name, samples in (("real", real), ("made", made)):
                board.add_audio(f"clip{place}/{name}", samples, step, SAMPLE_RATE)


_FIRST, _EVERY = 50, 1000  # steps after which it is told


class ThroughputCallback(lightning.Callback):
    """Tells hours of audio heard in an hour of training, and the time that is left.

    Args:
        steps: of the whole stage.
        notice: is told.
    """

    def __init__(self, steps: int, notice: Callable[[str], None]) -> None:
        self.steps, self.notice = steps, notice
        self.heard = 0.0  # hours since the start
        self.seen = 0  # steps since the start

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        self.heard += float(batch["lengths"].sum()) / FPS / 3600 * trainer.world_size
        self.seen += 1
        done = int(batch["step"]) + 1
        if trainer.is_global_zero and (self.seen == _FIRST or done % _EVERY == 0 or done == self.steps):
            self.notice(self.told(done, time.perf_counter() - self.began))

    def told(self, done: int, seconds: float) -> str:
        """The sentence after a step, some seconds after the start."""
        left = round((self.steps - done) * seconds / self.seen / 60)
        speed = self.heard / seconds * 3600
        return f"audio: step {done:,} of {self.steps:,}, {speed:,.0f} hours of audio an hour, {left} min left"
