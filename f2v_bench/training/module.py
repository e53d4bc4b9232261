"""What every trained network shares: AdamW on a schedule, an average of the weights, and chance that a step decides."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import nn

from f2v_bench.training.ema import EMA
from f2v_bench.training.loader import Batch
from f2v_bench.training.stage import StageConfig, optimiser, rate_at


def draw_as(batch: Batch, seed: int, rank: int) -> None:
    """Let seed, step and device decide what is drawn from here on, so that a resumed training draws the same."""
    torch.manual_seed(hash((seed, int(batch["step"]), rank)))


class StageModule(lightning.LightningModule):
    """A network in training.

    Args:
        network: what is trained.
        stage: how.
        seed: of everything drawn in a step.
    """

    def __init__(self, network: nn.Module, stage: StageConfig, seed: int) -> None:
        super().__init__()
        self.network, self.stage, self.seed = network, stage, seed
        self.ema = EMA(network, stage.ema)

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """A step, and the average after it: before any checkpoint of the step is written."""
        super().optimizer_step(*arguments, **named)
        self.ema.update(self.network)

    def configure_optimizers(self) -> Any:
        best = optimiser(self.network.named_parameters(), self.stage)
        schedule = torch.optim.lr_scheduler.LambdaLR(best, lambda step: rate_at(step, self.stage))
        return {"optimizer": best, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
