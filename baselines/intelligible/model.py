"""Intelligible's first stage: lips to speech units and, with a speaker embedding, to a mel spectrogram.

visual = ResNet-18(lips), or a weighted sum of frozen features    25 Hz, 512 channels
x     = Conformer(each frame of visual twice)                     50 Hz
units = linear(x), logits of the speech unit of 20 ms             50 Hz
mel   = linear(3 x GELU(conv([x; speaker]))), two frames each     100 Hz
loss  = CE(units) + mel_weight (L1(mel) + convergence(mel))       smoothed labels, log mels of real frames
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from baselines.intelligible.config import IntelligibleConfig
from f2v_bench.modeling.base import Model
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.visual_frontend import FRONTEND_DIM, VisualFrontend
from f2v_bench.nn.layers.conformer import Conformer
from f2v_bench.nn.losses.mel import mel_losses
from f2v_bench.nn.losses.units import cross_entropy
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME, UNITS_PER_VIDEO_FRAME

LAYERS = 3  # convolutions of the mel head
KERNEL = 3  # frames of 20 ms
MEL_FRAMES_PER_UNIT = MEL_FRAMES_PER_VIDEO_FRAME // UNITS_PER_VIDEO_FRAME


class IntelligibleOutput(NamedTuple):
    """Predicted features of a batch, or of one clip without the batch axis; all at the mel's frame rate.

    Attributes:
        mel: log mel spectrogram, ``(B, 4 T, 80)``, natural log.
        units: probability of every unit, ``(B, 4 T, U)``.
        speaker: speaker embedding, ``(B, 4 T, 256)``, the same at every frame.
    """

    mel: torch.Tensor
    units: torch.Tensor
    speaker: torch.Tensor


class Intelligible(Model[IntelligibleOutput]):
    """Lips to units, and lips and speaker embedding to a natural-log mel spectrogram.

    Args:
        config: settings of the model.
        mel_stats: mean and deviation of the training corpus's log mels, which scale the last layer.

    Raises:
        ValueError: a width that is not divisible by the heads, or an even kernel.
    """

    def __init__(self, config: IntelligibleConfig, mel_stats: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.mel_stats = config, mel_stats
        width = config.conformer.width
        self.frontend = VisualFrontend(config.frontend, config.lips, config.lip_encoder_training.augment)
        self.conformer = Conformer(FRONTEND_DIM, config.conformer)
        self.units = nn.Linear(width, config.units.count)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width if layer else width + config.speaker, width, KERNEL, padding=KERNEL // 2)
            for layer in range(LAYERS)
        )
        self.out_proj = nn.Linear(width, MEL_FRAMES_PER_UNIT * N_MELS)

    def forward(self, batch: Batch, speaker: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict natural-log mels ``(B, 4 T, 80)`` and logits of the units ``(B, 2 T, U)``.

        Args:
            batch: inputs of ``VisualFrontend``.
            speaker: speaker embeddings, unit vectors ``(B, 256)``.
        """
        mask = batch["mask"].repeat_interleave(UNITS_PER_VIDEO_FRAME, 1)  # (B, 2 T)
        x = self.conformer(self.frontend(batch).repeat_interleave(UNITS_PER_VIDEO_FRAME, 1), mask)  # (B, 2 T, C)
        speaker = speaker[:, None].expand(-1, mask.shape[1], -1).to(x.dtype)
        h, valid = torch.cat([x, speaker], dim=2).transpose(1, 2), mask[:, None]
        for convolution in self.convolutions:
            h = functional.gelu(convolution(h * valid))  # (B, C, 2 T), zeros after the clip's end
        mel = self.out_proj(h.transpose(1, 2)).float().view(len(mask), -1, N_MELS)  # (B, 4 T, 80)
        return self.mel_stats[0] + self.mel_stats[1] * mel, self.units(x).float()

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        mel, logits = self(batch, batch["speaker"])
        parts = mel_losses(mel, batch["mel"], batch["mask"])
        parts["units"] = cross_entropy(logits, batch["units"], batch["mask"], self.config.label_smoothing)
        return parts | {"loss": parts["units"] + self.config.mel_weight * (parts["l1"] + parts["convergence"])}

    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> IntelligibleOutput:
        speaker = batch["voice"] if "voice" in batch else batch["speaker"]
        mel, logits = self(batch, speaker)
        units = logits.softmax(2).repeat_interleave(MEL_FRAMES_PER_UNIT, 1)
        return IntelligibleOutput(mel, units, speaker[:, None].expand(-1, mel.shape[1], -1))
