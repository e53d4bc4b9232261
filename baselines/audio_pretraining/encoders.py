"""From lips to the 512 channels a video frame that the decoder reads, as ``training.hearing`` does from sound."""

from __future__ import annotations

import torch
from torch import nn

from baselines.audio_pretraining.config import V2AConfig
from f2v_bench.nn.conformer import Conformer
from f2v_bench.training.front import SEEN, Front
from f2v_bench.training.loader import Batch


class VideoEncoder(nn.Module):
    """Lips to z: the front end, and where there are blocks of it, a Conformer on top."""

    def __init__(self, config: V2AConfig) -> None:
        super().__init__()
        self.front = Front(config.front, config.lips, config.teaching.augment)
        self.conformer = Conformer(SEEN, config.watching) if config.watching.blocks else None
        self.leave = nn.Linear(config.watching.width, SEEN) if config.watching.blocks else None

    def forward(self, batch: Batch) -> torch.Tensor:
        """Z ``(B, T, 512)`` of a batch as ``Front`` takes it."""
        z: torch.Tensor = self.front(batch)
        if self.conformer is not None and self.leave is not None:
            z = self.leave(self.conformer(z, batch["mask"]))
        return z
