"""Moving average of a network's weights, which validation, exported weights and synthesis use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import nn


class EMA(nn.Module):
    """Exponential moving average of a module's parameters; buffers are copied.

    The decay rises from 0 as (1 + n) / (10 + n), so that the average soon forgets the first steps. As a submodule, it
    is part of the checkpoint.

    Args:
        module: module to average.
        decay: largest decay, in [0, 1).
    """

    updates: torch.Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.average = deepcopy(module).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Add the module's present weights to the average."""
        self.updates += 1
        count = int(self.updates)
        decay = min(self.decay, (1 + count) / (10 + count))
        averages, parameters = ([one.detach() for one in side.parameters()] for side in (self.average, module))
        torch._foreach_lerp_(averages, parameters, 1 - decay)
        for target, source in zip(self.average.buffers(), module.buffers(), strict=True):
            target.copy_(source)

    def train(self, mode: bool = True) -> EMA:
        """Keep evaluation mode: the average itself is never trained."""
        return super().train(False)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Set evaluation mode without gradients, and restore the previous mode at the end."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
