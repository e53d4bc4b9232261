"""Frozen lip features under one contract, whichever encoder they come from: AV-HuBERT or our stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.avhubert import AVHuBERT, load_avhubert
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig, normalize


class FrozenLipEncoder(nn.Module):
    """Lips to the outputs of every layer of a frozen encoder.

    Args:
        config: which encoder.
        weights: of the stand-in, as its ``state_dict``; AV-HuBERT's come from the assets.

    Raises:
        AssetMissing: AV-HuBERT is asked for and its weights are not here.
        F2VError: weights that do not fit.
    """

    def __init__(self, config: LipEncoderConfig, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder: LipEncoder | AVHuBERT
        if config.encoder == "stand-in":
            if weights is None:
                raise F2VError("the stand-in lip encoder has no weights", "train its stage first: --stage lips")
            self.encoder = LipEncoder(config)
            self.encoder.load_state_dict(dict(weights))
        else:
            from f2v_bench.assets import get_asset, require_asset

            size: Literal["base", "large"] = "base" if config.encoder == "avhubert-base" else "large"
            self.encoder = load_avhubert(require_asset(config.encoder), size, get_asset(config.encoder).instructions)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Features ``(B, T, L, D)`` of grey crops, uint8 ``(B, T, 96, 96)``, with ``mask`` ``(B, T)``."""
        return self.layers(self.seen(lips), mask)

    def seen(self, lips: torch.Tensor) -> torch.Tensor:
        """The crops as the encoder takes them, ``(B, T, S, S)``."""
        view = self.config if self.config.encoder == "stand-in" else replace(self.config, field=88, size=88)
        return normalize(lips, view)

    def layers(self, pictures: torch.Tensor, mask: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Outputs of every layer, ``(B, T, L, D)``, of what ``seen`` made; 0 beyond a clip's end."""
        if isinstance(self.encoder, LipEncoder):
            outputs = self.encoder(pictures, mask, hidden)
        else:
            outputs = self.encoder(pictures, mask)
        return torch.stack(outputs, dim=2) * mask[..., None, None]


class WeightedLayerSum(nn.Module):
    """A learned weighted sum over the outputs of a frozen encoder's layers, each normed first.

    Args:
        layers: outputs.
        channels: of each.
        width: of the sum.
    """

    def __init__(self, layers: int, channels: int, width: int) -> None:
        super().__init__()
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.project = nn.Linear(channels, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """``(B, T, L, D)`` to ``(B, T, C)``."""
        normed = functional.layer_norm(features, features.shape[-1:])
        summed = torch.einsum("btld,l->btd", normed, self.layer_weights.softmax(0).to(normed.dtype))
        out: torch.Tensor = self.project(summed)
        return out
