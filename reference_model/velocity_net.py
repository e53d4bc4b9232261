"""What both decoders of the flow share: noisy mel and condition enter, the time is known, a velocity leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm, TimeEmbedding
from reference_model.config import FlowConfig


class VelocityNet(nn.Module, ABC):
    """v(x_t, t, mu, features), conditioned by concatenation.

    Args:
        config: of the flow.
        features: channels of the condition beside mu.
        n_mels: bins.

    Raises:
        F2VError: the width does not split into the heads.
    """

    def __init__(self, config: FlowConfig, features: int, n_mels: int = 80) -> None:
        super().__init__()
        width = config.width
        self.time = TimeEmbedding(width)
        self.in_proj = nn.Linear(2 * n_mels + features, width)
        self.build(config)
        self.norm = AdaptiveLayerNorm(width, width)
        self.out_proj = nn.Linear(width, n_mels)
        nn.init.zeros_(self.out_proj.weight)  # training begins at v = 0, the mean of what is to be learned
        nn.init.zeros_(self.out_proj.bias)

    @abstractmethod
    def build(self, config: FlowConfig) -> None:
        """Make the layers between entrance and exit."""

    @abstractmethod
    def through(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``h`` ``(B, T, C)``, ``time`` ``(B, C)``, ``mask`` ``(B, T)`` to ``(B, T, C)``."""

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """The velocity at ``x``, zero at padded frames.

        Args:
            x: x_t, ``(B, T, n_mels)``.
            t: ``(B,)`` in 0 to 1.
            mu: the prior's mel, ``(B, T, n_mels)``.
            features: ``(B, T, F)``.
            mask: bool ``(B, T)``, True where a frame is real.
        """
        time = self.time(t)  # (B, C)
        h = self.through(self.in_proj(torch.cat([x, mu, features], dim=2)), time, mask)  # (B, T, C)
        v: torch.Tensor = self.out_proj(self.norm(h, time)) * mask[..., None]  # (B, T, n_mels)
        return v
