"""Lightning modules of the trained networks: AdamW on a schedule, a weight average, and random numbers by step."""

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
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from f2v_bench.training.ema import EMA, evaluating
from f2v_bench.training.optim import build_optimizer, lr_scale

VALIDATION_SEED = 1234


def seed_step(batch: Batch, seed: int, rank: int) -> None:
    """Seed torch by seed, step and device, so that a resumed training draws the same numbers."""
    torch.manual_seed(hash((seed, int(batch["step"]), rank)))


class TrainingModule(lightning.LightningModule):
    """Network with its optimizer and weight average.

    Args:
        network: network to train.
        stage: steps and optimizer.
        seed: seed of everything drawn in a step.
        lr_factors: factors on the learning rate by prefix of the weights' names; 1 for all others.
    """

    def __init__(
        self, network: nn.Module, stage: StageConfig, seed: int, lr_factors: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.network, self.stage, self.seed, self.lr_factors = network, stage, seed, lr_factors or {}
        self.ema = EMA(network, stage.ema)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rename layer parameters of earlier versions, so that their trainings can be resumed."""
        checkpoint["state_dict"] = rename_keys(checkpoint["state_dict"], LAYER_KEYS)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step the optimizer, then the average, before a checkpoint of the step can be written."""
        super().optimizer_step(*args, **kwargs)
        self.ema.update(self.network)

    def configure_optimizers(self) -> Any:
        """Build AdamW and its schedule."""
        optimizer = build_optimizer(self.network.named_parameters(), self.stage, self.lr_factors)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_scale(step, self.stage))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class ModelModule(TrainingModule):
    """Main stage of a model, or a stage before it: the model's losses, and the mel error of its weight average.

    Args:
        model: model with its initial weights.
        config: settings of the model.
        statistics: means and deviations of the training corpus, kept in checkpoints.
        seed: seed of everything drawn in a step.
        stage: steps and optimizer; None uses the main stage of the settings.
        lr_factors: factors on the learning rate by prefix of the weights' names.
    """

    def __init__(
        self,
        model: Model[Any],
        config: SharedConfig,
        statistics: Mapping[str, tuple[float, float]],
        seed: int = 0,
        stage: StageConfig | None = None,
        lr_factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, stage or config.main_stage, seed, lr_factors)
        self.save_hyperparameters({"config": as_mapping(config), "statistics": dict(statistics), "seed": seed})

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """Compute and log the losses; return their weighted sum."""
        seed_step(batch, self.seed, self.global_rank)
        losses = _model(self.network).losses(batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items() if name != "loss"})
        self.log("train/loss", losses["loss"], prog_bar=True)
        return losses["loss"]

    def predict(self, batch: Batch, index: int) -> Any:
        """Predict a batch of one clip with the averaged weights.

        Args:
            batch: one clip.
            index: index of the clip, which seeds the noise.

        Returns:
            The model's output without the batch axis, float32 on the CPU.
        """
        model = _model(self.ema.average)
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        noise = torch.randn(batch["mel"].shape, generator=torch.Generator().manual_seed(VALIDATION_SEED + index))
        with evaluating(model):
            output = model.synthesize(batch, noise.to(self.device))
        return map_fields(lambda field: field[0].float().cpu(), output)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the losses and the mel error of the averaged weights."""
        model = _model(self.ema.average)
        with evaluating(model), torch.random.fork_rng(devices=[]):
            torch.manual_seed(VALIDATION_SEED + index)
            values = model.losses(batch)
            mel = model.to_mel(model.synthesize(batch, torch.randn_like(batch["mel"])), batch["mask"])
        mask = batch["mask"].repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)[..., None]
        values["mel"] = ((mel - batch["mel"]).abs() * mask).sum() / (mask.sum() * N_MELS)
        self.log_dict({f"val/{name}": value for name, value in values.items()}, batch_size=len(batch["mel"]))


def _model(network: nn.Module) -> Model[Any]:
    assert isinstance(network, Model)
    return network
