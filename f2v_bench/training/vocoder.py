"""Training of a vocoder: spectral losses from the first step, discriminators from a chosen one.

HiFi-GAN (Kong 2020): L_G = mel_weight L1(mel) + adversarial + feature_weight feature matching, L_D = least squares. For
light generators the multi-resolution STFT loss stands beside the mel's, so that they speak before discriminators come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import nn
from torch.nn import functional

from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.layers.log_mel import LogMel
from f2v_bench.nn.losses.adversarial import discriminator_step_loss, generator_adversarial_loss
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.build import VocoderConfig, build_vocoder
from f2v_bench.nn.vocoders.discriminators import Discriminators, SpectralLoss
from f2v_bench.signal.mel import HOP
from f2v_bench.training.callbacks import SHOWN, show_clip
from f2v_bench.training.ema import EMA, evaluating
from f2v_bench.training.module import seed_step
from f2v_bench.training.optim import build_optimizer, lr_scale


class VocoderModule(lightning.LightningModule):
    """A generator against discriminators, on segments of real speech.

    A training batch holds ``audio`` ``(B, S)``, ``mel`` ``(B, S / 160, 80)`` and ``f0`` ``(B, S / 160)``: a segment of
    a clip and the same frames of the whole clip's mel spectrogram, or of a predicted one to fine-tune on, and of its F0
    in Hz, which a generator with a source is given in training and must hear for itself later. A validation batch holds
    clips, padded at their end where it has a ``mask`` ``(B, T)``, of which T divides the mel frames.

    Several devices need the strategy ``ddp_find_unused_parameters_true``: each side leaves the other's weights alone.

    Args:
        config: generator, discriminators and weights of the losses.
        stage: steps and optimiser, the same for both sides.
        seed: of the noise that a generator filters, and of everything else drawn in a step.
        generator: of that configuration, with the weights that it begins with; None builds one.
    """

    def __init__(
        self, config: VocoderConfig, stage: StageConfig, seed: int = 0, generator: Vocoder | None = None
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters({"vocoder": asdict(config), "stage": asdict(stage)})
        self.config, self.stage, self.seed = config, stage, seed
        self.generator = build_vocoder(config) if generator is None else generator
        self.discriminators = Discriminators(config) if config.adversarial_from >= 0 else None
        self.ema = EMA(self.generator, stage.ema)
        self.log_mel = LogMel()
        self.spectral = SpectralLoss(config.spectral_sizes)

    def given(self, batch: Batch) -> torch.Tensor:
        """What the generator is given of a batch, ``(B, T, inputs)``."""
        return batch["mel"]

    def training_step(self, batch: Batch, _: int) -> None:
        seed_step(batch, self.seed, self.global_rank)
        step = self.global_step
        real, mel, f0 = batch["audio"], self.given(batch), batch["f0"]
        made = self.generator(mel, self.generator.source(mel, f0))  # (B, S)
        judges = self.discriminators if step >= self.config.adversarial_from else None
        sides = self.optimizers()
        ours, *theirs = sides if isinstance(sides, list) else [sides]
        if judges is not None:
            loss = discriminator_step_loss(judges, real, made)
            self.log("train/discriminator", loss)
            self._update(theirs[0].optimizer, judges, loss, step)  # torch's own: Lightning counts the generator's steps
        loss = self.generator_loss(real, made, judges)
        for name, part in self.generator.losses(mel, f0).items():
            self.log(f"train/{name}", part)
            loss = loss + self.config.pitch_weight * part
        self.log("train/loss", loss, prog_bar=True)
        self._update(ours, self.generator, loss, step)
        self.ema.update(self.generator)  # here, not after the batch: a checkpoint may be written before that

    def generator_loss(
        self, real: torch.Tensor, made: torch.Tensor, judges: Discriminators | None = None
    ) -> torch.Tensor:
        """Weighted sum of all losses of made against real samples, ``(B, S)`` each; each part is logged."""
        config = self.config
        parts = {"mel": (config.mel_weight, functional.l1_loss(self.log_mel(made), self.log_mel(real)))}
        if config.spectral_weight:
            parts["spectral"] = (config.spectral_weight, self.spectral(made, real))
        if judges is not None:
            adversarial, features = generator_adversarial_loss(judges, real, made)
            parts["adversarial"] = (config.adversarial_weight, adversarial)
            parts["features"] = (config.feature_weight, features)
        self.log_dict({f"train/{name}": part.detach() for name, (_, part) in parts.items()})
        return torch.stack([weight * part for weight, part in parts.values()]).sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        distances = []
        with evaluating(self.ema.average):
            for place, (mel, real) in enumerate(clips_of(batch | {"mel": self.given(batch)})):
                made = self.ema.average(mel[None])  # (1, 160 T)
                ours, theirs = self.log_mel(made), self.log_mel(real[None])  # (1, T, 80) each
                distances.append(torch.stack([functional.l1_loss(ours, theirs), self.spectral(made, real[None])]))
                if index == 0 and place < SHOWN:
                    show_clip(self.loggers, self.global_step, place, real.cpu().numpy(), made[0].cpu().numpy())
        mel_distance, spectral = torch.stack(distances).mean(0)
        values = {"val/mel": mel_distance, "val/spectral": spectral}
        self.log_dict(values, prog_bar=True, batch_size=len(distances), sync_dist=True)

    def configure_optimizers(self) -> list[torch.optim.AdamW]:
        sides = [self.generator, self.discriminators]
        return [build_optimizer(side.named_parameters(), self.stage) for side in sides if side is not None]

    def _update(
        self, optimizer: LightningOptimizer | torch.optim.Optimizer, side: nn.Module, loss: torch.Tensor, step: int
    ) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.stage.learning_rate * lr_scale(step, self.stage)
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(side.parameters(), self.stage.clip)
        optimizer.step()


def clips_of(batch: Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Mel ``(T, C)`` and samples ``(160 T,)`` of each clip of a batch, its padding cut off."""
    frames = batch["mel"].shape[1]
    for row, (mel, audio) in enumerate(zip(batch["mel"], batch["audio"], strict=True)):
        if "mask" in batch:
            mask = batch["mask"][row]
            frames = int(mask.sum()) * (batch["mel"].shape[1] // len(mask))
        yield mel[:frames], audio[: HOP * frames]
