"""SVTS: a ResNet and a Conformer from lips and a speaker embedding straight to a mel spectrogram.

    seen  = ResNet-18(lips), or a weighted sum of frozen features       25 Hz, 512 channels
    x     = linear([seen; speaker])                                     25 Hz
    mel   = linear(Conformer(x)), four frames of 80 bins a video frame  100 Hz
    loss  = |mel' - mel| + convergence |mel' - mel|_F / |mel|_F         log mels of real frames

The paper works on 20 video frames and 80 mel frames a second; 25 and 100 here, with the suite's mel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from baselines.svts.config import SVTSConfig
from f2v_bench.nn.batches import spread
from f2v_bench.nn.conformer import ConformerBlock
from f2v_bench.nn.frozen_lips import LayerSum
from f2v_bench.nn.lips import LipEncoderConfig, normalised
from f2v_bench.nn.resnet import CHANNELS, ResNet, silu
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.augment import augmented, spans
from f2v_bench.training.loader import Batch
from f2v_bench.training.model import Model
from f2v_bench.training.targets import MELS

SEEN = CHANNELS[-1]  # channels of what the front end sees
VIEW = LipEncoderConfig(field=88, size=88)  # the part of the crop that the ResNet looks at


class SVTS(Model):
    """Lips and a voice to a natural-log mel spectrogram.

    Args:
        config: sizes.
        standard: mean and deviation of the training corpus's log mels: zero and unit of the last layer.

    Raises:
        F2VError: the width does not split into the heads, or the kernel has no centre.
    """

    def __init__(self, config: SVTSConfig, standard: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.config, self.standard = config, standard
        self.resnet = ResNet(silu) if config.front == "resnet" else None
        self.layers = LayerSum(*config.lips.outputs, SEEN) if config.front == "frozen" else None
        self.enter = nn.Linear(SEEN + config.speaker, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(config.width, config.heads, config.hidden, config.kernel, config.dropout)
            for _ in range(config.blocks)
        )
        self.leave = nn.Linear(config.width, MELS * N_MELS)

    def forward(self, seen: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Natural-log mels ``(B, 4 T, 80)``.

        Args:
            seen: pictures of lips ``(B, T, 88, 88)``, normalised; or features ``(B, T, L, D)`` of the frozen encoder.
            speaker: unit vectors ``(B, 256)``.
            mask: bool ``(B, T)``, True where a frame is real.
        """
        if self.resnet is not None:
            looked = spread(self.resnet(seen, mask), mask)
        else:
            assert self.layers is not None
            looked = self.layers(seen)
        voice = speaker[:, None].expand(-1, mask.shape[1], -1).to(looked.dtype)
        x = self.dropout(self.enter(torch.cat([looked, voice], dim=2)))
        for block in self.blocks:
            x = block(x, mask)
        mel: torch.Tensor = self.leave(x).float().view(len(mask), -1, N_MELS)  # (B, 4 T, 80)
        return self.standard[0] + self.standard[1] * mel

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        mel = self(self._seen(batch), batch["speaker"], batch["mask"])
        parts = mel_losses(mel, batch["mel"], batch["mask"])
        return parts | {"loss": parts["l1"] + self.config.convergence * parts["convergence"]}

    def say(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> torch.Tensor:
        voice = batch["voice"] if "voice" in batch else batch["speaker"]
        mel: torch.Tensor = self(self._seen(batch), voice, batch["mask"])
        return mel

    def _seen(self, batch: Batch) -> torch.Tensor:
        if self.config.front == "frozen":
            return batch["features"]
        if not self.training:
            return normalised(batch["lips"], VIEW)
        pictures = augmented(batch["lips"], VIEW, self.config.teaching.augment)
        hidden = spans(batch["mask"], self.config.hidden_frames, self.config.hidden_span)
        return pictures.masked_fill(hidden[..., None, None], 0.0)


def mel_losses(made: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """``l1``, the mean over real frames and bins, and ``convergence``, |made - real|_F / |real|_F, a mean over clips.

    Args:
        made: log mels ``(B, 4 T, 80)``.
        real: the same.
        mask: bool ``(B, T)`` of video frames.
    """
    inside = mask.repeat_interleave(MELS, 1)[..., None]  # (B, 4 T, 1)
    error, target = (made - real) * inside, real * inside
    norms = error.square().sum((1, 2)).sqrt() / target.square().sum((1, 2)).sqrt().clamp(min=1e-8)
    return {"l1": error.abs().sum() / (inside.sum() * N_MELS), "convergence": norms.mean()}
