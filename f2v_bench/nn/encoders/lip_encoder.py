"""The lip encoder that stands in for AV-HuBERT where its weights are absent: a small ResNet and a transformer.

As in AV-HuBERT (Shi et al., ICLR 2022), a convolution over five frames and a residual network look at the lips, a
transformer looks at the sentence, and training predicts clusters of the sound, also where spans of the picture are
hidden. Widths are our own: the network is small enough for a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.transformer import ConvBlock, TransformerBlock

STACK = 5  # frames that the first convolution sees, as AV-HuBERT's


@dataclass(frozen=True, slots=True)
class LipEncoderConfig:
    """Which lip encoder, and how large the stand-in is.

    Attributes:
        encoder: ``stand-in`` or the official AV-HuBERT, ``avhubert-base`` or ``avhubert-large``.
        weights: file of a trained stand-in; None takes those of the run's own lips stage.
        field: pixels on a side of the 96x96 crop's centre that the stand-in looks at.
        size: pixels on a side that it makes of them, a multiple of 16.
        channels: of the stem and of the three residual stages.
        width: of its features.
        layers: pairs of a convolution block and a transformer block.
        heads: of attention.
        kernel: of the convolution blocks, frames, odd.
        dropout: share of channels dropped in training.
    """

    encoder: Literal["stand-in", "avhubert-base", "avhubert-large"] = "stand-in"
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
        """How many layers' outputs there are to sum, and their channels."""
        sizes = {"avhubert-base": (13, 768), "avhubert-large": (25, 1024)}
        return sizes.get(self.encoder, (self.layers + 1, self.width))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, halving the picture."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inward, outward, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outward)
        self.conv2 = nn.Conv2d(outward, outward, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outward)
        self.shortcut = nn.Conv2d(inward, outward, 1, stride=2, bias=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        inner = functional.silu(self.norm1(self.conv1(pictures)))
        return functional.silu(self.norm2(self.conv2(inner)) + self.shortcut(pictures))


class FrontEnd(nn.Module):
    """Pictures of lips ``(B, T, S, S)`` to one vector a frame ``(B, T, width)``, from each frame and two on both sides.

    Only real frames pass through the network, so that the batch norms never see padding.
    """

    def __init__(self, config: LipEncoderConfig) -> None:
        super().__init__()
        stem, *stages = config.channels
        self.stem = nn.Conv2d(STACK, stem, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        self.stages = nn.Sequential(*map(Residual, (stem, *stages), stages))
        side = config.size // 2 ** (1 + len(stages))
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(stages[-1] * side * side, config.width)  # the mouth stays where it is: keep its place

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        edge = STACK // 2
        stacked = functional.pad(lips * mask[..., None, None], (0, 0, 0, 0, edge, edge))  # (B, T + 4, S, S)
        frames = stacked.unfold(1, STACK, 1).movedim(-1, 2)[mask]  # (N, 5, S, S), N real frames
        maps = functional.silu(self.norm(self.stem(frames.contiguous(memory_format=torch.channels_last))))
        return scatter_frames(self.project(self.dropout(self.stages(maps).flatten(1))), mask)


class LipEncoder(nn.Module):
    """Lips to the outputs of every layer, from which a user of the encoder takes a weighted sum."""

    def __init__(self, config: LipEncoderConfig) -> None:
        super().__init__()
        self.front_end = FrontEnd(config)
        self.mask_embedding = nn.Parameter(0.02 * torch.randn(config.width))  # takes the place of hidden frames
        self.convolutions = nn.ModuleList(
            ConvBlock(config.width, config.kernel, config.dropout) for _ in range(config.layers)
        )
        self.transformer = nn.ModuleList(
            TransformerBlock(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )

    def forward(self, lips: torch.Tensor, mask: torch.Tensor, hidden: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Outputs of the front end and of every layer.

        Args:
            lips: ``(B, T, S, S)``, as ``normalize`` makes them.
            mask: bool ``(B, T)``, True where a frame is real.
            hidden: bool ``(B, T)``, True where the layers must do without the frame.

        Returns:
            ``layers + 1`` tensors ``(B, T, width)``.
        """
        x = self.front_end(lips, mask)
        if hidden is not None:
            x = torch.where(hidden[..., None], self.mask_embedding.to(x.dtype), x)
        outputs = [x]
        for convolution, transformer in zip(self.convolutions, self.transformer, strict=True):
            x = transformer(convolution(x, mask), mask)
            outputs.append(x)
        return outputs


def normalize(lips: torch.Tensor, config: LipEncoderConfig) -> torch.Tensor:
    """Grey crops, uint8 ``(B, T, 96, 96)``, as the encoder sees them: their centre, smaller, ``(B, T, S, S)``."""
    edge = (lips.shape[-1] - config.field) // 2
    center = lips[..., edge : edge + config.field, edge : edge + config.field].float()
    shape = (config.size, config.size)
    return standardize_pixels(
        functional.interpolate(center, shape, mode="bilinear", antialias=True, align_corners=False)
    )


def standardize_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """Grey values 0 to 255 with AV-HuBERT's mean and deviation."""
    return (pixels / 255 - 0.421) / 0.165
