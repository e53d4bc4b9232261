"""Frozen lip features behind one interface: of AV-HuBERT or of the small lip encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError, user_error
from f2v_bench.nn.encoders.avhubert import AVHuBERT, load_avhubert
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig, normalize


class FrozenLipEncoder(nn.Module):
    """Lip crops to the outputs of every layer of a frozen encoder.

    Args:
        config: choice of the encoder.
        weights: state dict of the small encoder; AV-HuBERT's is an asset.

    Raises:
        AssetMissing: AV-HuBERT is chosen and its weights are not on this machine.
        F2VError: no weights of the small encoder, or impossible sizes.
    """

    def __init__(self, config: LipEncoderConfig, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder: LipEncoder | AVHuBERT
        if config.encoder == "small":
            if weights is None:
                raise F2VError("the small lip encoder has no weights", "train its stage first: --stage lips")
            with user_error("change the sizes of the lip encoder: --set lips.NAME=VALUE"):
                self.encoder = LipEncoder(config)
            self.encoder.load_state_dict(dict(weights))
        else:
            from f2v_bench.assets import get_asset, require_asset

            size: Literal["base", "large"] = "base" if config.encoder == "avhubert-base" else "large"
            self.encoder = load_avhubert(require_asset(config.encoder), size, get_asset(config.encoder).instructions)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode gray crops, uint8 ``(B, T, 96, 96)``, with ``mask`` ``(B, T)`` as features ``(B, T, L, D)``."""
        return self.layer_outputs(self.preprocess(lips), mask)

    def preprocess(self, lips: torch.Tensor) -> torch.Tensor:
        """Crop, resize and standardize lip crops for the encoder: ``(B, T, S, S)``."""
        view = self.config if self.config.encoder == "small" else replace(self.config, field=88, size=88)
        return normalize(lips, view)

    def layer_outputs(
        self, pixels: torch.Tensor, mask: torch.Tensor, masked: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the outputs of every layer.

        Args:
            pixels: output of ``preprocess``, ``(B, T, S, S)``.
            mask: bool ``(B, T)``, True where a frame is real.
            masked: bool ``(B, T)``, frames that the small encoder replaces by its mask embedding.

        Returns:
            ``(B, T, L, D)``, 0 beyond a clip's end.
        """
        if isinstance(self.encoder, LipEncoder):
            outputs = self.encoder(pixels, mask, masked)
        else:
            outputs = self.encoder(pixels, mask)
        return torch.stack(outputs, dim=2) * mask[..., None, None]


class WeightedLayerSum(nn.Module):
    """Learned weighted sum over the outputs of a frozen encoder's layers, each with a layer norm first.

    Args:
        layers: number of outputs.
        channels: channels of each output.
        width: channels of the sum.
    """

    def __init__(self, layers: int, channels: int, width: int) -> None:
        super().__init__()
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.project = nn.Linear(channels, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, L, D)`` to ``(B, T, C)``."""
        normalized = functional.layer_norm(features, features.shape[-1:])
        summed = torch.einsum("btld,l->btd", normalized, self.layer_weights.softmax(0).to(normalized.dtype))
        out: torch.Tensor = self.project(summed)
        return out
