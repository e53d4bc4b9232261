"""How fast a pre-training hears, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning

from f2v_bench.clip import FPS
from f2v_bench.training.loader import Batch

_FIRST, _EVERY = 50, 1000  # steps after which it is told


class Throughput(lightning.Callback):
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
