"""Training of a vocoder: spectral losses from the first step, discriminators from a chosen one.

HiFi-GAN (Kong 2020): L_G = mel_weight L1(mel) + adversarial + feature_weight feature matching, L_D = least squares. For
small generators a multi-resolution STFT loss is added, so that speech is intelligible before discriminators start.
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
from f2v_bench.nn.vocoders.build import build_vocoder
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.discriminators import Discriminators, SpectralLoss
from f2v_bench.signal.mel import HOP
from f2v_bench.training.callbacks import LOGGED_CLIPS, log_clip
from f2v_bench.training.ema import EMA, evaluating
from f2v_bench.training.module import seed_step
from f2v_bench.training.optim import build_optimizer, lr_scale


class VocoderModule(lightning.LightningModule):
    """Generator against discriminators, on segments of real speech.

    A training batch holds ``audio`` ``(B, S)``, ``mel`` ``(B, S / 160, 80)`` and ``f0`` ``(B, S / 160)``: a segment of
    a clip, and the same frames of the whole clip's mel spectrogram and of its F0 in Hz. Fine-tuning takes a predicted
    mel spectrogram instead. A generator with an excitation takes the true F0 in training and predicts it in synthesis.
    A validation batch holds clips, padded at their end where it has a ``mask`` ``(B, T)``; T divides the mel frames.

    Several devices need the strategy ``ddp_find_unused_parameters_true``: each optimizer leaves the other network's
    weights unused.

    Args:
        config: generator, discriminators and weights of the losses.
        stage: steps and optimizer, the same for generator and discriminators.
        seed: seed of the generator's noise and of everything else drawn in a step.
        generator: generator of that configuration with its initial weights; None builds one.
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

    def vocoder_inputs(self, batch: Batch) -> torch.Tensor:
        """Return the generator's input of a batch, ``(B, T, inputs)``."""
        return batch["mel"]

    def training_step(self, batch: Batch, _: int) -> None:
        """Update the discriminators, then the generator and its average."""
        seed_step(batch, self.seed, self.global_rank)
        step = self.global_step
        real, mel, f0 = batch["audio"], self.vocoder_inputs(batch), batch["f0"]
        made = self.generator(mel, self.generator.excitation(mel, f0))  # (B, S)
        discriminators = self.discriminators if step >= self.config.adversarial_from else None
        optimizers = self.optimizers()
        generator_optimizer, *others = optimizers if isinstance(optimizers, list) else [optimizers]
        if discriminators is not None:
            loss = discriminator_step_loss(discriminators, real, made)
            self.log("train/discriminator", loss)
            # torch's own optimizer: Lightning counts the generator's steps alone
            self._update(others[0].optimizer, discriminators, loss, step)
        loss = self.generator_loss(real, made, discriminators)
        for name, part in self.generator.losses(mel, f0).items():
            self.log(f"train/{name}", part)
            loss = loss + self.config.pitch_weight * part
        self.log("train/loss", loss, prog_bar=True)
        self._update(generator_optimizer, self.generator, loss, step)
        self.ema.update(self.generator)  # now: a checkpoint may be written before the batch ends

    def generator_loss(
        self, real: torch.Tensor, made: torch.Tensor, discriminators: Discriminators | None = None
    ) -> torch.Tensor:
        """Return the weighted sum of the losses of generated against real samples, ``(B, S)`` each; log every loss."""
        config = self.config
        losses = {"mel": (config.mel_weight, functional.l1_loss(self.log_mel(made), self.log_mel(real)))}
        if config.spectral_weight:
            losses["spectral"] = (config.spectral_weight, self.spectral(made, real))
        if discriminators is not None:
            adversarial, features = generator_adversarial_loss(discriminators, real, made)
            losses["adversarial"] = (config.adversarial_weight, adversarial)
            losses["features"] = (config.feature_weight, features)
        self.log_dict({f"train/{name}": part.detach() for name, (_, part) in losses.items()})
        return torch.stack([weight * part for weight, part in losses.values()]).sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log mel and spectral distance of the averaged generator, and the first clips."""
        distances = []
        with evaluating(self.ema.average):
            for position, (mel, real) in enumerate(iter_clips(batch | {"mel": self.vocoder_inputs(batch)})):
                made = self.ema.average(mel[None])  # (1, 160 T)
                made_mel, real_mel = self.log_mel(made), self.log_mel(real[None])  # (1, T, 80) each
                mel_distance = functional.l1_loss(made_mel, real_mel)
                distances.append(torch.stack([mel_distance, self.spectral(made, real[None])]))
                if index == 0 and position < LOGGED_CLIPS:
                    log_clip(self.loggers, self.global_step, position, real.cpu().numpy(), made[0].cpu().numpy())
        mel_distance, spectral = torch.stack(distances).mean(0)
        values = {"val/mel": mel_distance, "val/spectral": spectral}
        self.log_dict(values, prog_bar=True, batch_size=len(distances), sync_dist=True)

    def configure_optimizers(self) -> list[torch.optim.AdamW]:
        """Build AdamW for the generator, and for the discriminators if there are some."""
        networks = [self.generator, self.discriminators]
        return [build_optimizer(one.named_parameters(), self.stage) for one in networks if one is not None]

    def _update(
        self, optimizer: LightningOptimizer | torch.optim.Optimizer, network: nn.Module, loss: torch.Tensor, step: int
    ) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.stage.learning_rate * lr_scale(step, self.stage)
        optimizer.zero_grad()
        self.manual_backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), self.stage.clip)
        optimizer.step()


def iter_clips(batch: Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Iterate over the clips of a batch: mel ``(T, C)`` and samples ``(160 T,)`` without padding."""
    frames = batch["mel"].shape[1]
    for row, (mel, audio) in enumerate(zip(batch["mel"], batch["audio"], strict=True)):
        if "mask" in batch:
            mask = batch["mask"][row]
            frames = int(mask.sum()) * (batch["mel"].shape[1] // len(mask))
        yield mel[:frames], audio[: HOP * frames]
