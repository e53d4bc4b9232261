"""Loss of frame labels at 50 Hz, two per video frame."""

from __future__ import annotations

import torch
from torch.nn import functional

from f2v_bench.timing import UNITS_PER_VIDEO_FRAME

IGNORE_INDEX = -100  # label of frames without one


def split_label_pairs(x: torch.Tensor) -> torch.Tensor:
    """Reshape ``(B, T, 2 C)`` to ``(B, 2 T, C)``, two labels per video frame."""
    return x.reshape(x.shape[0], UNITS_PER_VIDEO_FRAME * x.shape[1], -1)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, frames: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Compute the mean cross entropy over the labels of selected video frames; 0 without labels.

    Args:
        logits: logits ``(B, 2 T, C)``.
        labels: class indices ``(B, 2 T)``, or ``IGNORE_INDEX``.
        frames: selected video frames, bool ``(B, T)``.
        smoothing: label smoothing, 0 to 1.
    """
    selected = frames.repeat_interleave(UNITS_PER_VIDEO_FRAME, 1) & (labels != IGNORE_INDEX)
    targets = labels.masked_fill(~selected, IGNORE_INDEX)
    total = functional.cross_entropy(
        logits.float().transpose(1, 2), targets, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=smoothing
    )
    return total / selected.sum().clamp(min=1)
