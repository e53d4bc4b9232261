"""How far predicted mels are from real ones, as SVTS and its successors train."""

from __future__ import annotations

import torch

from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME


def mel_losses(made: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """``l1``, the mean over real frames and bins, and ``convergence``, |made - real|_F / |real|_F, a mean over clips.

    Args:
        made: log mels ``(B, 4 T, 80)``.
        real: the same.
        mask: bool ``(B, T)`` of video frames.
    """
    inside = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)[..., None]  # (B, 4 T, 1)
    error, target = (made - real) * inside, real * inside
    norms = error.square().sum((1, 2)).sqrt() / target.square().sum((1, 2)).sqrt().clamp(min=1e-8)
    return {"l1": error.abs().sum() / (inside.sum() * N_MELS), "convergence": norms.mean()}
