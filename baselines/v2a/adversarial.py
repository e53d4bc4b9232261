"""Training of a decoder of samples: spectral losses from the first step, adversarial ones from a chosen step.

L = losses of the decoder + adversarial_weight (1 - D(predicted))^2 + feature_weight feature matching, and for the
discriminators (1 - D(real))^2 + D(predicted)^2, on segments of each clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from baselines.v2a.config import WaveConfig
from baselines.v2a.model import EncoderDecoder
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.losses.adversarial import discriminator_step_loss, generator_adversarial_loss
from f2v_bench.nn.vocoders.discriminators import Discriminators
from f2v_bench.training.module import ModelModule, seed_step
from f2v_bench.training.optim import build_optimizer, lr_scale


class AdversarialModule(ModelModule):
    """Model of samples against discriminators, which start from random weights in each stage.

    Several devices need the strategy ``ddp_find_unused_parameters_true``: each optimizer leaves the other network's
    weights unused.

    Args:
        model: model with its initial weights.
        config: settings of the model.
        statistics: means and deviations of the training corpus, as for ``ModelModule``.
        seed: seed of everything drawn in a step.
        stage: steps and optimizer of the model; the discriminators' optimizer is that of ``vocoder_stage``.
        lr_factors: factors of the learning rate, as for ``ModelModule``.
    """

    network: EncoderDecoder

    def __init__(
        self,
        model: EncoderDecoder,
        config: WaveConfig,
        statistics: Mapping[str, tuple[float, float]],
        seed: int = 0,
        stage: StageConfig | None = None,
        lr_factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, config, statistics, seed, stage, lr_factors)
        self.automatic_optimization = False
        self.vocoder, self.discriminator_stage = config.vocoder, config.vocoder_stage
        self.discriminators = Discriminators(self.vocoder) if self.vocoder.adversarial_from >= 0 else None

    def training_step(self, batch: Batch, _: int) -> None:  # type: ignore[override]
        seed_step(batch, self.seed, self.global_rank)
        step = int(batch["step"])
        optimizers = self.optimizers()
        model_optimizer, *others = optimizers if isinstance(optimizers, list) else [optimizers]
        parts, real, predicted = self.network.compute_loss(batch)
        assert real is not None
        assert predicted is not None
        total = parts["loss"]
        if self.discriminators is not None and step >= self.vocoder.adversarial_from:
            loss = discriminator_step_loss(self.discriminators, real, predicted)
            # torch's own optimizer: Lightning counts the model's steps alone
            self._update(others[0].optimizer, self.discriminators, loss, step)
            adversarial, features = generator_adversarial_loss(self.discriminators, real, predicted)
            parts = parts | {"critics": loss, "adversarial": adversarial, "features": features}
            total = total + self.vocoder.adversarial_weight * adversarial + self.vocoder.feature_weight * features
        self.log_dict({f"train/{name}": part.detach() for name, part in parts.items() if name != "loss"})
        self.log("train/loss", total.detach(), prog_bar=True)
        self._update(model_optimizer, self.network, total, step)
        self.ema.update(self.network)  # here, not after the batch: a checkpoint may be written before that

    def configure_optimizers(self) -> Any:
        optimizers = [build_optimizer(self.network.named_parameters(), self.stage, self.lr_factors)]
        if self.discriminators is not None:
            optimizers.append(build_optimizer(self.discriminators.named_parameters(), self.discriminator_stage))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        return optimizers

    def _update(self, optimizer: Any, network: nn.Module, loss: torch.Tensor, step: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * lr_scale(step, self.stage)
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), self.stage.clip)
        optimizer.step()
