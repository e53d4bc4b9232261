"""Base of the flow's velocity networks: input projection, time embedding, output projection."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm, TimeEmbedding
from reference_model.config import FlowConfig


class VelocityNet(nn.Module, ABC):
    """Velocity v(x_t, t, mu, features), conditioned by concatenation.

    Args:
        config: settings of the flow.
        features: channels of the condition beside mu.
        n_mels: mel bins.

    Raises:
        ValueError: the width does not split into the heads.
    """

    def __init__(self, config: FlowConfig, features: int, n_mels: int = 80) -> None:
        super().__init__()
        width = config.width
        self.time = TimeEmbedding(width)
        self.in_proj = nn.Linear(2 * n_mels + features, width)
        self.build_blocks(config)
        self.norm = AdaptiveLayerNorm(width, width)
        self.out_proj = nn.Linear(width, n_mels)
        nn.init.zeros_(self.out_proj.weight)  # training starts at v = 0, the mean of the target
        nn.init.zeros_(self.out_proj.bias)

    @abstractmethod
    def build_blocks(self, config: FlowConfig) -> None:
        """Build the layers between the input and the output projection."""

    @abstractmethod
    def forward_blocks(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Run the layers between the projections.

        Args:
            h: hidden features, ``(B, T, C)``.
            time: time embedding, ``(B, C)``.
            mask: bool ``(B, T)``, True at real frames.

        Returns:
            Hidden features, ``(B, T, C)``.
        """

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the velocity at ``x``, ``(B, T, n_mels)``, zero at padded frames.

        Args:
            x: noisy mel x_t, ``(B, T, n_mels)``.
            t: flow time, ``(B,)``, 0 to 1.
            mu: mel of the prior, ``(B, T, n_mels)``.
            features: condition, ``(B, T, F)``.
            mask: bool ``(B, T)``, True at real frames.
        """
        time = self.time(t)  # (B, C)
        h = self.forward_blocks(self.in_proj(torch.cat([x, mu, features], dim=2)), time, mask)  # (B, T, C)
        v: torch.Tensor = self.out_proj(self.norm(h, time)) * mask[..., None]  # (B, T, n_mels)
        return v
