"""Data augmentation of lip crops in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from f2v_bench.nn.layers.pixels import standardize_pixels


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Strength of the augmentation; all frames of a clip share one draw, so that motion is preserved.

    Attributes:
        shift: largest shift in both directions, pixels of the 96x96 crop.
        scale: largest change of the size's logarithm.
        rotation: largest angle, degrees.
        contrast: largest relative change of contrast, and largest change of brightness in standard deviations.
        erase: probability that a rectangle of the clip is blanked.
        tempo: largest change of the tempo's logarithm.
    """

    shift: float = 5.0
    scale: float = 0.1
    rotation: float = 6.0
    contrast: float = 0.3
    erase: float = 0.3
    tempo: float = 0.12


class CropView(Protocol):
    """Part of the crop that an encoder takes, ``field`` pixels on a side, and its side ``size`` after resizing."""

    @property
    def field(self) -> int: ...

    @property
    def size(self) -> int: ...


def augment(lips: torch.Tensor, encoder: CropView, config: AugmentConfig) -> torch.Tensor:
    """Shift, scale, rotate, mirror, relight and erase lip crops at random.

    Args:
        lips: gray crops, uint8 ``(B, T, 96, 96)``.
        encoder: settings of the encoder that takes the result.
        config: strength.

    Returns:
        Standardized pixels ``(B, T, S, S)``, with the geometry and scale of ``lip_encoder.normalize``.
    """
    batch, _, side, _ = lips.shape
    size = encoder.size
    device = lips.device

    def draw(limit: float) -> torch.Tensor:
        return (2 * torch.rand(batch, device=device) - 1) * limit

    angle, zoom = draw(math.radians(config.rotation)), torch.exp(draw(config.scale)) * encoder.field / side
    mirror = torch.where(torch.rand(batch, device=device) < 0.5, -1.0, 1.0)
    shift_x, shift_y = draw(2 * config.shift / side), draw(2 * config.shift / side)
    rows = [
        mirror * zoom * angle.cos(),
        -zoom * angle.sin(),
        shift_x,
        mirror * zoom * angle.sin(),
        zoom * angle.cos(),
        shift_y,
    ]
    affine = torch.stack(rows, dim=1).view(batch, 2, 3)
    grid = functional.affine_grid(affine, [batch, 1, size, size], align_corners=False)
    # frames are the channels, so that all frames of a clip get the same transform
    moved = functional.grid_sample(lips.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    relit = (
        standardize_pixels(moved) * (1 + draw(config.contrast))[:, None, None, None]
        + draw(config.contrast)[:, None, None, None]
    )
    return relit.masked_fill(_erase_mask(batch, size, config.erase, device)[:, None], 0.0)


def _erase_mask(batch: int, size: int, probability: float, device: torch.device) -> torch.Tensor:
    """Draw a rectangle for each clip with this probability, bool ``(B, S, S)``, True inside it."""
    center = torch.rand(2, batch, 1, device=device) * size
    half = (0.08 + 0.12 * torch.rand(2, batch, 1, device=device)) * size
    inside = (torch.arange(size, device=device) + 0.5 - center).abs() < half  # (2, B, S)
    chosen = torch.rand(batch, 1, 1, device=device) < probability
    return inside[0][:, :, None] & inside[1][:, None] & chosen


def mask_spans(mask: torch.Tensor, probability: float, length: int) -> torch.Tensor:
    """Draw random spans of real frames, as in wav2vec 2.0.

    Args:
        mask: bool ``(B, T)``, True where a frame is real.
        probability: approximate fraction of frames in spans, 0 to 1.
        length: frames of a span.

    Returns:
        bool ``(B, T)``, True inside a span.
    """
    starts = torch.rand(mask.shape, device=mask.device) < probability / length
    kernel = torch.ones(1, 1, length, device=mask.device)
    covered = functional.conv1d(functional.pad(starts[:, None].float(), (length - 1, 0)), kernel)[:, 0]
    return (covered > 0.5) & mask


def tempo_warp_index(frames: int, change: float, draw: float) -> torch.Tensor:
    """Return the indices of the frames of a clip after a change of tempo, int64 ``(T',)``.

    Args:
        frames: frames of the clip.
        change: largest change of the tempo's logarithm.
        draw: random number in [-1, 1].
    """
    count = max(1, round(frames * math.exp(change * draw)))
    return torch.linspace(0, frames - 1, count).round().long()
