"""What training does to pictures of lips so that the encoder cannot learn them by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig, standardize_pixels


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How strongly pictures are changed; one draw a clip, so that motion stays motion.

    Attributes:
        shift: pixels of the 96x96 crop, in both directions.
        scale: largest change of size.
        rotation: degrees.
        contrast: largest change of the grey values' slope and, in deviations, of their level.
        erase: how often a rectangle of the clip is blanked.
        tempo: largest change of speed.
    """

    shift: float = 5.0
    scale: float = 0.1
    rotation: float = 6.0
    contrast: float = 0.3
    erase: float = 0.3
    tempo: float = 0.12


def augment(lips: torch.Tensor, encoder: LipEncoderConfig, config: AugmentConfig) -> torch.Tensor:
    """Grey crops, uint8 ``(B, T, 96, 96)``, seen as the encoder does but moved, mirrored and lit at random.

    Returns:
        ``(B, T, S, S)``, as ``nn.lips.normalised`` without chance.
    """
    batch, _, side, _ = lips.shape
    size = encoder.size
    device = lips.device

    def draw(reach: float) -> torch.Tensor:
        return (2 * torch.rand(batch, device=device) - 1) * reach

    angle, zoom = draw(math.radians(config.rotation)), torch.exp(draw(config.scale)) * encoder.field / side
    mirror = torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    across, down = draw(2 * config.shift / side), draw(2 * config.shift / side)
    rows = [
        mirror * zoom * angle.cos(),
        -zoom * angle.sin(),
        across,
        mirror * zoom * angle.sin(),
        zoom * angle.cos(),
        down,
    ]
    turn = torch.stack(rows, dim=1).view(batch, 2, 3)
    grid = functional.affine_grid(turn, [batch, 1, size, size], align_corners=False)
    # time is the channel axis: every frame of a clip moves alike
    moved = functional.grid_sample(lips.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    lit = (
        standardize_pixels(moved) * (1 + draw(config.contrast))[:, None, None, None]
        + draw(config.contrast)[:, None, None, None]
    )
    return lit.masked_fill(_rectangles(batch, size, config.erase, device)[:, None], 0.0)


def _rectangles(batch: int, size: int, share: float, device: torch.device) -> torch.Tensor:
    """Bool ``(B, S, S)``, True inside the rectangle of the clips that get one."""
    center = torch.rand(2, batch, 1, device=device) * size
    half = (0.08 + 0.12 * torch.rand(2, batch, 1, device=device)) * size
    inside = (torch.arange(size, device=device) + 0.5 - center).abs() < half  # (2, B, S)
    chosen = torch.rand(batch, 1, 1, device=device) < share
    return inside[0][:, :, None] & inside[1][:, None] & chosen


def mask_spans(mask: torch.Tensor, share: float, length: int) -> torch.Tensor:
    """Random spans of real frames, bool ``(B, T)``: about ``share`` of them, at most ``length`` in a row each."""
    starts = torch.rand(mask.shape, device=mask.device) < share / length
    kernel = torch.ones(1, 1, length, device=mask.device)
    spread = functional.conv1d(functional.pad(starts[:, None].float(), (length - 1, 0)), kernel)[:, 0]
    return (spread > 0.5) & mask


def tempo_warp_index(frames: int, change: float, draw: float) -> torch.Tensor:
    """Which frames a clip shows when it runs faster or slower by up to ``change``; ``draw`` is in [-1, 1]."""
    count = max(1, round(frames * math.exp(change * draw)))
    return torch.linspace(0, frames - 1, count).round().long()
