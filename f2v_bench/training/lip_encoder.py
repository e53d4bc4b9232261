"""First stage: training of the small lip encoder to predict speech units of visible and of masked frames.

As in AV-HuBERT and HuBERT: cross entropy on clusters of the audio, on visible and on masked frames. Where the corpus
has transcripts, a second head predicts phonemes from forced alignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.modeling.batch import Batch, Example
from f2v_bench.modeling.shared_config import LipEncoderTrainingConfig, StageConfig, UnitConfig
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig, normalize
from f2v_bench.nn.layers.augment import augment, mask_spans, tempo_warp_index
from f2v_bench.nn.losses.units import IGNORE_INDEX, cross_entropy, split_label_pairs
from f2v_bench.timing import UNITS_PER_VIDEO_FRAME
from f2v_bench.training.data.alignment import PHONES
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.ema import evaluating
from f2v_bench.training.module import TrainingModule, seed_step

if TYPE_CHECKING:
    from f2v_bench.training.data.dataset import UnitLabeler


class LipEncoderModule(TrainingModule):
    """Small lip encoder with one head for units and one for phonemes, two labels per video frame each.

    Args:
        encoder: sizes of the encoder.
        units: source and number of the units.
        config: augmentation, masking and losses.
        stage: steps and optimizer.
        seed: seed of everything drawn in a step.
    """

    def __init__(
        self,
        encoder: LipEncoderConfig,
        units: UnitConfig,
        config: LipEncoderTrainingConfig,
        stage: StageConfig,
        seed: int = 0,
    ) -> None:
        network = LipNetwork(encoder, units.count)
        super().__init__(network, stage, seed)
        self.save_hyperparameters(
            {"encoder": asdict(encoder), "units": asdict(units), "config": asdict(config), "stage": asdict(stage)}
        )
        self.encoder, self.config = encoder, config
        # other layouts take many times as long; the annotations of Module.to lack this one
        network.encoder.front_end.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """Compute and log the losses on visible and masked frames; return their weighted sum."""
        seed_step(batch, self.seed, self.global_rank)
        config = self.config
        lips = augment(batch["lips"], self.encoder, config.augment)
        masked = mask_spans(batch["mask"], config.mask_prob, config.mask_length)
        units, phones = self.network(lips, batch["mask"], masked)
        visible = batch["mask"] & ~masked
        total = torch.zeros((), device=self.device)
        heads = (("units", units, batch["units"], 1.0), ("phones", phones, batch["phones"], config.phoneme_weight))
        for name, logits, labels, head_weight in heads:
            for kind, frames, weight in (("visible", visible, 1.0), ("masked", masked, config.masked_weight)):
                loss = cross_entropy(logits, labels, frames, config.label_smoothing)
                self.log(f"train/{name}_{kind}", loss)
                total = total + head_weight * weight * loss
        self.log("train/loss", total, prog_bar=True)
        return total

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log loss and accuracy of the averaged weights for both heads."""
        with evaluating(self.ema.average):
            units, phones = self.ema.average(normalize(batch["lips"], self.encoder), batch["mask"])
        count = len(batch["lips"])
        for name, logits, labels in (("units", units, batch["units"]), ("phones", phones, batch["phones"])):
            labeled = (labels != IGNORE_INDEX) & batch["mask"].repeat_interleave(UNITS_PER_VIDEO_FRAME, 1)
            if labeled.any():
                accuracy = (logits.argmax(-1) == labels)[labeled].float().mean()
                loss = functional.cross_entropy(logits[labeled], labels[labeled])
                self.log_dict({f"val/{name}_loss": loss, f"val/{name}": accuracy}, prog_bar=True, batch_size=count)


class LipNetwork(nn.Module):
    """Lip encoder with its heads: crops ``(B, T, S, S)`` to unit and phoneme logits, ``(B, 2 T, C)`` each.

    Args:
        encoder: sizes of the encoder.
        units: number of units.
    """

    def __init__(self, encoder: LipEncoderConfig, units: int) -> None:
        super().__init__()
        self.encoder = LipEncoder(encoder)
        self.norm = nn.LayerNorm(encoder.width)
        self.units = nn.Linear(encoder.width, UNITS_PER_VIDEO_FRAME * units)
        self.phones = nn.Linear(encoder.width, UNITS_PER_VIDEO_FRAME * len(PHONES))

    def forward(
        self, lips: torch.Tensor, mask: torch.Tensor, masked: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict logits of units and of phonemes.

        Args:
            lips: normalized crops ``(B, T, S, S)``.
            mask: bool ``(B, T)``, True where a video frame is real.
            masked: bool ``(B, T)``, True for frames whose features are masked.
        """
        top = self.norm(self.encoder(lips, mask, masked)[-1])
        return split_label_pairs(self.units(top)), split_label_pairs(self.phones(top))


def lip_example(features: ClipFeatures, units: UnitLabeler, change: float, rng: np.random.Generator | None) -> Example:
    """Build the stage's example of a clip, with a random tempo if there is a generator.

    Args:
        features: features of the clip.
        units: labeler of the clip's audio.
        change: largest relative change of the tempo.
        rng: generator for the tempo; None keeps it.
    """
    labels: Mapping[str, np.ndarray[Any, Any]] = {"units": units(features), "phones": features.phones}
    if rng is None:
        return Example(features.frames, {"lips": features.lips, **labels})
    index = tempo_warp_index(features.frames, change, rng.uniform(-1, 1)).numpy()
    fine = (UNITS_PER_VIDEO_FRAME * index[:, None] + np.arange(UNITS_PER_VIDEO_FRAME)).reshape(-1)
    warped = {name: values[fine] for name, values in labels.items()}
    return Example(len(index), {"lips": features.lips[index], **warped})
