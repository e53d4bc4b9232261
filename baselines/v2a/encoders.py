"""Video encoder: lips to 512 channels per video frame, the counterpart of ``AudioFrontend``."""

from __future__ import annotations

import torch
from torch import nn

from baselines.v2a.config import V2AConfig
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.visual_frontend import FRONTEND_DIM, VisualFrontend
from f2v_bench.nn.layers.conformer import Conformer


class VideoEncoder(nn.Module):
    """Video encoder of a visual frontend and, unless it has 0 blocks, a Conformer."""

    def __init__(self, config: V2AConfig) -> None:
        super().__init__()
        self.frontend = VisualFrontend(config.frontend, config.lips, config.lip_encoder_training.augment)
        self.conformer = Conformer(FRONTEND_DIM, config.video_encoder) if config.video_encoder.blocks else None
        self.out_proj = nn.Linear(config.video_encoder.width, FRONTEND_DIM) if config.video_encoder.blocks else None

    def forward(self, batch: Batch) -> torch.Tensor:
        """Encode inputs of ``VisualFrontend`` as z ``(B, T, 512)``."""
        z: torch.Tensor = self.frontend(batch)
        if self.conformer is not None and self.out_proj is not None:
            z = self.out_proj(self.conformer(z, batch["mask"]))
        return z
