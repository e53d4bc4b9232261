"""Real metrics on the way: every validation, a few clips are spoken, recognised, measured and shown to TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import lightning
import numpy as np
import torch
from numpy.typing import NDArray

from f2v_bench.adapters.torch_metric import TorchMetric
from f2v_bench.metrics.contract import MetricOptions
from f2v_bench.metrics.rmse_f0 import RMSEF0
from f2v_bench.metrics.stoi import STOI
from f2v_bench.metrics.wer import WER
from f2v_bench.signal.mel import SAMPLE_RATE
from f2v_bench.training.board import SHOWN, show_clip

_LOGGED = ("wer", "rmse_f0", "estoi")

#: the samples of a validation clip, float32 ``(n,)`` at 16 kHz, from the network as it stands
Speak = Callable[[int], NDArray[np.float32]]


class Listening(lightning.Callback):
    """Word error rate by the corpus's recogniser, F0 error and ESTOI of spoken validation clips.

    Args:
        speak: says a clip.
        real: the real speech of each clip, float32 ``(n,)`` at 16 kHz.
        texts: their transcripts; without all of them, or without a grammar, there is no word error rate.
        grammar: of the corpus's sentences.
    """

    def __init__(
        self, speak: Speak, real: Sequence[NDArray[np.float32]], texts: Sequence[str | None], grammar: str | None
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
