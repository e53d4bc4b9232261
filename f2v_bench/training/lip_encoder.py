"""The first stage: a lip encoder learns what the lips say of the sound, frame by frame and where frames are hidden.

As AV-HuBERT and HuBERT: cross entropy on clusters of the sound, on the visible and on the hidden frames. Where the
corpus has transcripts, phonemes by forced alignment are predicted beside them.
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
    """The stand-in encoder with one head for units and one for phonemes, two labels a video frame each."""

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
        # other layouts take many times as long; Module.to's annotations do not know this one
        network.encoder.front_end.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        seed_step(batch, self.seed, self.global_rank)
        lips = augment(batch["lips"], self.encoder, self.config.augment)
        hidden = mask_spans(batch["mask"], self.config.hidden, self.config.span)
        units, phones = self.network(lips, batch["mask"], hidden)
        seen = batch["mask"] & ~hidden
        loss = torch.zeros((), device=self.device)
        parts = (("units", units, batch["units"], 1.0), ("phones", phones, batch["phones"], self.config.phones))
        for name, logits, labels, weight in parts:
            for where, frames, share in (("seen", seen, 1.0), ("hidden", hidden, self.config.hidden_weight)):
                part = cross_entropy(logits, labels, frames, self.config.smoothing)
                self.log(f"train/{name}_{where}", part)
                loss = loss + weight * share * part
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        with evaluating(self.ema.average):
            units, phones = self.ema.average(normalize(batch["lips"], self.encoder), batch["mask"])
        count = len(batch["lips"])
        for name, logits, labels in (("units", units, batch["units"]), ("phones", phones, batch["phones"])):
            known = (labels != IGNORE_INDEX) & batch["mask"].repeat_interleave(UNITS_PER_VIDEO_FRAME, 1)
            if known.any():
                right = (logits.argmax(-1) == labels)[known].float().mean()
                loss = functional.cross_entropy(logits[known], labels[known])
                self.log_dict({f"val/{name}_loss": loss, f"val/{name}": right}, prog_bar=True, batch_size=count)


class LipNetwork(nn.Module):
    """Lips ``(B, T, S, S)`` to logits of units ``(B, 2 T, units)`` and of phonemes ``(B, 2 T, 40)``."""

    def __init__(self, encoder: LipEncoderConfig, units: int) -> None:
        super().__init__()
        self.encoder = LipEncoder(encoder)
        self.norm = nn.LayerNorm(encoder.width)
        self.units = nn.Linear(encoder.width, UNITS_PER_VIDEO_FRAME * units)
        self.phones = nn.Linear(encoder.width, UNITS_PER_VIDEO_FRAME * len(PHONES))

    def forward(
        self, lips: torch.Tensor, mask: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        top = self.norm(self.encoder(lips, mask, hidden)[-1])
        return split_label_pairs(self.units(top)), split_label_pairs(self.phones(top))


def lip_example(targets: ClipFeatures, units: UnitLabeler, change: float, rng: np.random.Generator | None) -> Example:
    """What the stage sees of a clip, at another tempo where there is a generator to draw it with."""
    labels: Mapping[str, np.ndarray[Any, Any]] = {"units": units(targets), "phones": targets.phones}
    if rng is None:
        return Example(targets.frames, {"lips": targets.lips, **labels})
    index = tempo_warp_index(targets.frames, change, rng.uniform(-1, 1)).numpy()
    fine = (UNITS_PER_VIDEO_FRAME * index[:, None] + np.arange(UNITS_PER_VIDEO_FRAME)).reshape(-1)
    played = {name: values[fine] for name, values in labels.items()}
    return Example(len(index), {"lips": targets.lips[index], **played})
