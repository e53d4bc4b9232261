"""A running average of a network's weights: what validation, checkpoints for use and synthesis take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import nn


class EMA(nn.Module):
    """An exponential moving average of a module's parameters; buffers are copied.

    The decay grows from 0 as (1 + n) / (10 + n), so that the first steps are soon forgotten. As a module of its own it
    travels in the checkpoint.

    Args:
        module: what is averaged.
        decay: of the average, in [0, 1).
    """

    updates: torch.Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.average = deepcopy(module).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the module's present weights into the average."""
        self.updates += 1
        done = int(self.updates)
        decay = min(self.decay, (1 + done) / (10 + done))
        ours, theirs = ([one.detach() for one in side.parameters()] for side in (self.average, module))
        torch._foreach_lerp_(ours, theirs, 1 - decay)
        for mine, other in zip(self.average.buffers(), module.buffers(), strict=True):
            mine.copy_(other)

    def train(self, mode: bool = True) -> EMA:
        """The average is never trained."""
        return super().train(False)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients, and back to the mode before."""
    before = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(before)
