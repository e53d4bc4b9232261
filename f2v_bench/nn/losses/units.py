"""Labels of 20 ms of sound, two a video frame: the shape of their logits, and their loss."""

from __future__ import annotations

import torch
from torch.nn import functional

from f2v_bench.timing import UNITS_PER_VIDEO_FRAME

IGNORE_INDEX = -100  # label of a frame that has none


def split_label_pairs(x: torch.Tensor) -> torch.Tensor:
    """``(B, T, 2 C)`` to ``(B, 2 T, C)``: both labels of a video frame."""
    return x.reshape(x.shape[0], UNITS_PER_VIDEO_FRAME * x.shape[1], -1)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, frames: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross entropy over the labels of chosen video frames; 0 where there are none.

    Args:
        logits: ``(B, 2 T, C)``.
        labels: ``(B, 2 T)``, ``IGNORE_INDEX`` where there is none.
        frames: bool ``(B, T)``.
        smoothing: of the labels.
    """
    chosen = frames.repeat_interleave(UNITS_PER_VIDEO_FRAME, 1) & (labels != IGNORE_INDEX)
    picked = labels.masked_fill(~chosen, IGNORE_INDEX)
    total = functional.cross_entropy(
        logits.float().transpose(1, 2), picked, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=smoothing
    )
    return total / chosen.sum().clamp(min=1)
