"""Losses between predicted and real mel spectrograms, as in SVTS and its successors."""

from __future__ import annotations

import torch

from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME


def mel_losses(predicted: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute ``l1``, the mean over frames and bins, and ``convergence``, the mean over clips of |p - r|_F / |r|_F.

    Args:
        predicted: predicted log mel spectrogram p, ``(B, 4 T, 80)``.
        real: real log mel spectrogram r, ``(B, 4 T, 80)``.
        mask: bool ``(B, T)``, True where a video frame is real.
    """
    inside = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)[..., None]  # (B, 4 T, 1)
    error, target = (predicted - real) * inside, real * inside
    norms = error.square().sum((1, 2)).sqrt() / target.square().sum((1, 2)).sqrt().clamp(min=1e-8)
    return {"l1": error.abs().sum() / (inside.sum() * N_MELS), "convergence": norms.mean()}
