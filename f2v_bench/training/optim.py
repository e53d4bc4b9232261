"""Optimizer and learning-rate schedule of a training stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch

from f2v_bench.modeling.shared_config import StageConfig


def build_optimizer(
    named_parameters: Iterable[tuple[str, torch.nn.Parameter]],
    stage: StageConfig,
    lr_factors: Mapping[str, float] | None = None,
) -> torch.optim.AdamW:
    """Build AdamW without decay on biases, norms and single vectors.

    Args:
        named_parameters: parameters by name; frozen ones are left out.
        stage: learning rate, betas and decay.
        lr_factors: factors on the learning rate by prefix of the parameters' names; 1 for all others.
    """
    parts: dict[float, list[torch.nn.Parameter]] = {1.0: []}
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            factor = next((one for prefix, one in (lr_factors or {}).items() if name.startswith(prefix)), 1.0)
            parts.setdefault(factor, []).append(parameter)
    groups = [
        {"params": [one for one in part if (one.ndim > 1) == is_matrix], "weight_decay": decay, "lr": rate}
        for rate, part in ((factor * stage.learning_rate, part) for factor, part in parts.items())
        for is_matrix, decay in ((True, stage.weight_decay), (False, 0.0))
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(stage.betas[0], stage.betas[1]))


def lr_scale(step: int, stage: StageConfig) -> float:
    """Return the learning rate as a share of its peak: linear warm-up, then half a cosine down to the floor."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    progress = min(1.0, (step - stage.warmup) / max(1, stage.steps - stage.warmup))
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * progress))
