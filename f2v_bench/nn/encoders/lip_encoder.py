"""Small lip encoder, used where the weights of AV-HuBERT are absent: a ResNet and a transformer.

As in AV-HuBERT (Shi et al., ICLR 2022), a convolution over five frames and a residual network encode the lips, a
transformer encodes the sentence, and training predicts clusters of the audio, also for masked spans of the video.
Choice: the widths are small enough for training on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.pixels import standardize_pixels
from f2v_bench.nn.layers.transformer import ConvBlock, TransformerBlock

STACK = 5  # frames in the first convolution, as in AV-HuBERT


@dataclass(frozen=True, slots=True)
class LipEncoderConfig:
    """Choice of the lip encoder, and sizes of the small one.

    Attributes:
        encoder: ``small``, or the official AV-HuBERT, ``avhubert-base`` or ``avhubert-large``.
        weights: file of a trained small encoder; None takes that of the run's own lips stage.
        field: side in pixels of the center of the 96x96 crop that the small encoder takes.
        size: side in pixels of its input after resizing, a multiple of 16.
        channels: channels of the stem and of the three residual stages.
        width: channels of the features.
        layers: number of pairs of a convolution block and a transformer block.
        heads: attention heads.
        kernel: kernel size of the convolution blocks in frames, odd.
        dropout: dropout rate of channels.
    """

    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"encoder": {"stand-in": "small"}}

    encoder: Literal["small", "avhubert-base", "avhubert-large"] = "small"
    weights: str | None = None
    field: int = 88
    size: int = 64
    channels: tuple[int, ...] = (24, 32, 64, 96)
    width: int = 192
    layers: int = 3
    heads: int = 4
    kernel: int = 9
    dropout: float = 0.1

    @property
    def outputs(self) -> tuple[int, int]:
        """Number of layer outputs, and their channels."""
        sizes = {"avhubert-base": (13, 768), "avhubert-large": (25, 1024)}
        return sizes.get(self.encoder, (self.layers + 1, self.width))


class Residual(nn.Module):
    """Residual block of two 3x3 convolutions that halves the image."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = functional.silu(self.norm1(self.conv1(images)))
        return functional.silu(self.norm2(self.conv2(inner)) + self.shortcut(images))


class FrontEnd(nn.Module):
    """Lip crops ``(B, T, S, S)`` to vectors ``(B, T, width)``, each from its frame and two frames on both sides.

    Only real frames pass through the network, so that padding has no effect on the batch norms.
    """

    def __init__(self, config: LipEncoderConfig) -> None:
        super().__init__()
        stem, *stages = config.channels
        self.stem = nn.Conv2d(STACK, stem, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        self.stages = nn.Sequential(*map(Residual, (stem, *stages), stages))
        side = config.size // 2 ** (1 + len(stages))
        self.dropout = nn.Dropout(config.dropout)
        # no pooling: crops are aligned, so that positions carry information
        self.project = nn.Linear(stages[-1] * side * side, config.width)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        edge = STACK // 2
        stacked = functional.pad(lips * mask[..., None, None], (0, 0, 0, 0, edge, edge))  # (B, T + 4, S, S)
        frames = stacked.unfold(1, STACK, 1).movedim(-1, 2)[mask]  # (N, 5, S, S), N real frames
        maps = functional.silu(self.norm(self.stem(frames.contiguous(memory_format=torch.channels_last))))
        return scatter_frames(self.project(self.dropout(self.stages(maps).flatten(1))), mask)


class LipEncoder(nn.Module):
    """Lip crops to the outputs of every layer, for a weighted sum over layers."""

    def __init__(self, config: LipEncoderConfig) -> None:
        super().__init__()
        self.front_end = FrontEnd(config)
        self.mask_embedding = nn.Parameter(0.02 * torch.randn(config.width))  # replaces masked frames
        self.convolutions = nn.ModuleList(
            ConvBlock(config.width, config.kernel, config.dropout) for _ in range(config.layers)
        )
        self.transformer = nn.ModuleList(
            TransformerBlock(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )

    def forward(self, lips: torch.Tensor, mask: torch.Tensor, masked: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Compute the outputs of the front end and of every layer.

        Args:
            lips: standardized pixels ``(B, T, S, S)``, from ``normalize``.
            mask: bool ``(B, T)``, True where a frame is real.
            masked: bool ``(B, T)``, True where the layers get the mask embedding in place of the frame.

        Returns:
            ``layers + 1`` tensors ``(B, T, width)``.
        """
        x = self.front_end(lips, mask)
        if masked is not None:
            x = torch.where(masked[..., None], self.mask_embedding.to(x.dtype), x)
        outputs = [x]
        for convolution, transformer in zip(self.convolutions, self.transformer, strict=True):
            x = transformer(convolution(x, mask), mask)
            outputs.append(x)
        return outputs


def normalize(lips: torch.Tensor, config: LipEncoderConfig) -> torch.Tensor:
    """Crop the center of gray crops, uint8 ``(B, T, 96, 96)``, resize and standardize it: ``(B, T, S, S)``."""
    edge = (lips.shape[-1] - config.field) // 2
    center = lips[..., edge : edge + config.field, edge : edge + config.field].float()
    shape = (config.size, config.size)
    return standardize_pixels(
        functional.interpolate(center, shape, mode="bilinear", antialias=True, align_corners=False)
    )
