"""Optimizer and learning-rate schedule of a training stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch

from f2v_bench.modeling.shared_config import StageConfig


def build_optimizer(
    named: Iterable[tuple[str, torch.nn.Parameter]], stage: StageConfig, shares: Mapping[str, float] | None = None
) -> torch.optim.AdamW:
    """AdamW; biases, norms and single vectors are not decayed.

    Args:
        named: weights; those that want no gradient are left out.
        stage: rate, betas and decay.
        shares: of the learning rate, by the beginning of weights' names; 1 for all others.
    """
    parts: dict[float, list[torch.nn.Parameter]] = {1.0: []}
    for name, parameter in named:
        if parameter.requires_grad:
            share = next((one for start, one in (shares or {}).items() if name.startswith(start)), 1.0)
            parts.setdefault(share, []).append(parameter)
    groups = [
        {"params": [one for one in part if (one.ndim > 1) == matrix], "weight_decay": decay, "lr": rate}
        for rate, part in ((share * stage.learning_rate, part) for share, part in parts.items())
        for matrix, decay in ((True, stage.weight_decay), (False, 0.0))
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(stage.betas[0], stage.betas[1]))


def lr_scale(step: int, stage: StageConfig) -> float:
    """The learning rate's share of its peak: a straight rise, then half a cosine down to the floor."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    through = min(1.0, (step - stage.warmup) / max(1, stage.steps - stage.warmup))
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * through))
