"""Training of a decoder that says samples: spectral losses from the first step, critics from a chosen one.

L = losses of the decoder + adversarial_weight (1 - critic(made))^2 + feature_weight feature matching, and for critics
(1 - critic(real))^2 + critic(made)^2, on pieces of each clip.
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
    """A model that says samples, against critics that begin anew in each stage.

    Several devices need the strategy ``ddp_find_unused_parameters_true``: each side leaves the other's weights alone.

    Args:
        model: with the weights that it begins with.
        config: of the model.
        standard: as ``ModelModule``.
        seed: of everything drawn in a step.
        stage: steps and optimiser of the model; the critics' optimiser is the configuration's ``vocoder_stage``.
        lr_factors: as ``ModelModule``.
    """

    network: EncoderDecoder

    def __init__(
        self,
        model: EncoderDecoder,
        config: WaveConfig,
        standard: Mapping[str, tuple[float, float]],
        seed: int = 0,
        stage: StageConfig | None = None,
        lr_factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, config, standard, seed, stage, lr_factors)
        self.automatic_optimization = False
        self.sound, self.rates = config.vocoder, config.vocoder_stage
        self.critics = Discriminators(self.sound) if self.sound.adversarial_from >= 0 else None

    def training_step(self, batch: Batch, _: int) -> None:  # type: ignore[override]
        seed_step(batch, self.seed, self.global_rank)
        step = int(batch["step"])
        found = self.optimizers()
        ours, *theirs = found if isinstance(found, list) else [found]
        parts, real, made = self.network.taught(batch)
        assert real is not None
        assert made is not None
        total = parts["loss"]
        if self.critics is not None and step >= self.sound.adversarial_from:
            loss = discriminator_step_loss(self.critics, real, made)
            self._update(
                theirs[0].optimizer, self.critics, loss, step
            )  # torch's own: Lightning counts the model's steps
            adversarial, features = generator_adversarial_loss(self.critics, real, made)
            parts = parts | {"critics": loss, "adversarial": adversarial, "features": features}
            total = total + self.sound.adversarial_weight * adversarial + self.sound.feature_weight * features
        self.log_dict({f"train/{name}": part.detach() for name, part in parts.items() if name != "loss"})
        self.log("train/loss", total.detach(), prog_bar=True)
        self._update(ours, self.network, total, step)
        self.ema.update(self.network)  # here, not after the batch: a checkpoint may be written before that

    def configure_optimizers(self) -> Any:
        sides = [build_optimizer(self.network.named_parameters(), self.stage, self.lr_factors)]
        if self.critics is not None:
            sides.append(build_optimizer(self.critics.named_parameters(), self.rates))
        for side in sides:
            for group in side.param_groups:
                group["peak"] = group["lr"]
        return sides

    def _update(self, best: Any, side: nn.Module, loss: torch.Tensor, step: int) -> None:
        for group in best.param_groups:
            group["lr"] = group["peak"] * lr_scale(step, self.stage)
        best.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(side.parameters(), self.stage.clip)
        best.step()
