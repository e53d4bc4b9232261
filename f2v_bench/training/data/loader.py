"""Batches by step: the batch of step n depends on seed and n alone, so that resumed trainings are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from f2v_bench.modeling.batch import Batch, Example, collate

_CACHE_SIZE = 4  # permutations; a step may reach from one epoch, or group, into the next


class StepSampler(IterableDataset[Batch]):
    """Batches of randomly ordered examples: every example once per epoch, until the last step.

    Groups, such as the shards of an index, are visited one after the other. Their order and that of the examples inside
    them are drawn for every epoch.

    Args:
        load: function of index and random generator that loads an example.
        count: number of examples.
        batch: examples per step, over all devices.
        steps: steps of the whole training.
        seed: seed of the orders and of loading.
        first: first step.
        rank: index of this device.
        world_size: number of devices.
        groups: numbers of examples of the groups, in order; none is one group of all.
    """

    def __init__(
        self,
        load: Callable[[int, np.random.Generator], Example],
        *,
        count: int,
        batch: int,
        steps: int,
        seed: int,
        first: int = 0,
        rank: int = 0,
        world_size: int = 1,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.load, self.count, self.batch, self.steps = load, count, batch, steps
        self.seed, self.first, self.rank, self.world_size = seed, first, rank, world_size
        self.groups = np.array(groups or [count])
        self._permutations: dict[tuple[int, ...], np.ndarray[Any, np.dtype[np.int64]]] = {}

    def batch_indices(self, step: int) -> list[int]:
        """Return the indices of this device's examples at a step."""
        positions = range(step * self.batch, (step + 1) * self.batch)[self.rank :: self.world_size]
        return [self._index(*divmod(position, self.count)) for position in positions]

    def _index(self, epoch: int, position: int) -> int:
        if len(self.groups) == 1:
            return int(self._permutation(self.count, epoch)[position])
        order = self._permutation(len(self.groups), epoch)
        ends = self.groups[order].cumsum()
        slot = int(ends.searchsorted(position, side="right"))
        group = int(order[slot])
        inside = position - int(ends[slot] - self.groups[group])
        return int(self.groups[:group].sum() + self._permutation(int(self.groups[group]), epoch, group)[inside])

    def _permutation(self, count: int, *key: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return a permutation that depends on seed, epoch and group; the last few are cached."""
        if key not in self._permutations:
            while len(self._permutations) >= _CACHE_SIZE:
                del self._permutations[next(iter(self._permutations))]
            self._permutations[key] = np.random.default_rng([self.seed, 11, *key]).permutation(count)
        return self._permutations[key]

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for step in range(self.first + worker, self.steps, workers):  # the loader takes turns: steps stay in order
            rng = np.random.default_rng([self.seed, 12, step, self.rank])
            yield collate([self.load(index, rng) for index in self.batch_indices(step)]) | {"step": torch.tensor(step)}


def build_loader(sampler: StepSampler, workers: int, *, pin: bool = False) -> DataLoader[Batch]:
    """Build a data loader; with workers, other processes load batches ahead."""
    return DataLoader(sampler, batch_size=None, num_workers=workers, pin_memory=pin, persistent_workers=workers > 0)


def iter_batches(load: Callable[[int], Example], count: int, batch: int) -> Iterator[Batch]:
    """Iterate over all examples once, in order, for validation and feature extraction."""
    for first in range(0, count, batch):
        yield collate([load(index) for index in range(first, min(first + batch, count))])
