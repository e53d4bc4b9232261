"""What every trained network shares: AdamW on a schedule, an average of the weights, and chance that a step decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import nn

from f2v_bench.config import as_mapping
from f2v_bench.modeling.base import Model, map_fields
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from f2v_bench.training.ema import EMA, evaluating
from f2v_bench.training.optim import build_optimizer, lr_scale

VALIDATION_SEED = 1234


def seed_step(batch: Batch, seed: int, rank: int) -> None:
    """Let seed, step and device decide what is drawn from here on, so that a resumed training draws the same."""
    torch.manual_seed(hash((seed, int(batch["step"]), rank)))


class TrainingModule(lightning.LightningModule):
    """A network in training.

    Args:
        network: what is trained.
        stage: how.
        seed: of everything drawn in a step.
        shares: of the learning rate, by the beginning of weights' names; 1 for all others.
    """

    def __init__(
        self, network: nn.Module, stage: StageConfig, seed: int, shares: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.network, self.stage, self.seed, self.shares = network, stage, seed, shares or {}
        self.ema = EMA(network, stage.ema)

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """A step, and the average after it: before any checkpoint of the step is written."""
        super().optimizer_step(*arguments, **named)
        self.ema.update(self.network)

    def configure_optimizers(self) -> Any:
        best = build_optimizer(self.network.named_parameters(), self.stage, self.shares)
        schedule = torch.optim.lr_scheduler.LambdaLR(best, lambda step: lr_scale(step, self.stage))
        return {"optimizer": best, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class ModelModule(TrainingModule):
    """The main stage of any model, or one before it: its losses, and how far the mels of its average are off.

    Args:
        model: with the weights that it begins with.
        config: of the model.
        standard: means and deviations of the training corpus, kept in checkpoints.
        seed: of everything drawn in a step.
        stage: how it is trained; None is the configuration's main stage.
        shares: of the learning rate, by the beginning of weights' names.
    """

    def __init__(
        self,
        model: Model[Any],
        config: SharedConfig,
        standard: Mapping[str, tuple[float, float]],
        seed: int = 0,
        stage: StageConfig | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, stage or config.main_stage, seed, shares)
        self.save_hyperparameters({"config": as_mapping(config), "standard": dict(standard), "seed": seed})

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        seed_step(batch, self.seed, self.global_rank)
        parts = _model(self.network).losses(batch)
        self.log_dict({f"train/{name}": value for name, value in parts.items() if name != "loss"})
        self.log("train/loss", parts["loss"], prog_bar=True)
        return parts["loss"]

    def predict(self, batch: Batch, at: int) -> Any:
        """Predict a batch of one clip with the averaged weights.

        Args:
            batch: one clip.
            at: index of the clip, which decides the noise.

        Returns:
            The model's output without the batch axis, float32 on the CPU.
        """
        model = _model(self.ema.average)
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        noise = torch.randn(batch["mel"].shape, generator=torch.Generator().manual_seed(VALIDATION_SEED + at))
        with evaluating(model):
            output = model.synthesize(batch, noise.to(self.device))
        return map_fields(lambda field: field[0].float().cpu(), output)

    def validation_step(self, batch: Batch, index: int) -> None:
        model = _model(self.ema.average)
        with evaluating(model), torch.random.fork_rng(devices=[]):
            torch.manual_seed(VALIDATION_SEED + index)
            parts = model.losses(batch)
            mel = model.to_mel(model.synthesize(batch, torch.randn_like(batch["mel"])), batch["mask"])
        mask = batch["mask"].repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)[..., None]
        parts["mel"] = ((mel - batch["mel"]).abs() * mask).sum() / (mask.sum() * N_MELS)
        count = len(batch["mel"])
        self.log_dict({f"val/{name}": value for name, value in parts.items()}, batch_size=count)


def _model(network: nn.Module) -> Model[Any]:
    assert isinstance(network, Model)
    return network
