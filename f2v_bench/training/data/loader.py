"""Batches by step: what step n sees depends on the seed and n alone, so that a resumed training goes on exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from f2v_bench.modeling.batch import Batch, Example, collate

_ORDERS = 4  # a step may reach from one round, or group, into the next


class StepSampler(IterableDataset[Batch]):
    """Every clip once in an order of its own for each round, as many rounds as there are steps.

    Clips that lie in groups, as the files of a shard, are taken group by group, both in an order of the round's own.

    Args:
        load: the item of a clip; its generator is for what is drawn on loading.
        count: clips.
        batch: clips a step, over all devices.
        steps: of the whole training.
        seed: of the orders.
        first: step to begin with.
        rank: which device this is.
        world: how many devices there are.
        groups: clips of each group, in order; none is one group of all.
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
        world: int = 1,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.load, self.count, self.batch, self.steps = load, count, batch, steps
        self.seed, self.first, self.rank, self.world = seed, first, rank, world
        self.groups = np.array(groups or [count])
        self._orders: dict[tuple[int, ...], np.ndarray[Any, np.dtype[np.int64]]] = {}

    def clips_of(self, step: int) -> list[int]:
        """Indices of the clips that one device sees at a step."""
        places = range(step * self.batch, (step + 1) * self.batch)[self.rank :: self.world]
        return [self._clip(*divmod(place, self.count)) for place in places]

    def _clip(self, round_: int, place: int) -> int:
        if len(self.groups) == 1:
            return int(self._order(self.count, round_)[place])
        order = self._order(len(self.groups), round_)
        ends = self.groups[order].cumsum()
        at = int(ends.searchsorted(place, side="right"))
        group = int(order[at])
        inside = place - int(ends[at] - self.groups[group])
        return int(self.groups[:group].sum() + self._order(int(self.groups[group]), round_, group)[inside])

    def _order(self, count: int, *which: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """A permutation that seed, round and group decide; the last few are kept."""
        if which not in self._orders:
            while len(self._orders) >= _ORDERS:
                del self._orders[next(iter(self._orders))]
            self._orders[which] = np.random.default_rng([self.seed, 11, *which]).permutation(count)
        return self._orders[which]

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for step in range(self.first + worker, self.steps, workers):  # the loader takes turns: the order stays
            rng = np.random.default_rng([self.seed, 12, step, self.rank])
            yield collate([self.load(at, rng) for at in self.clips_of(step)]) | {"step": torch.tensor(step)}


def build_loader(steps: StepSampler, workers: int, *, pin: bool = False) -> DataLoader[Batch]:
    """A loader of ready batches; with workers, they are read ahead in other processes."""
    return DataLoader(steps, batch_size=None, num_workers=workers, pin_memory=pin, persistent_workers=workers > 0)


def iter_batches(load: Callable[[int], Example], count: int, batch: int) -> Iterator[Batch]:
    """Every clip once, in order: what validation and feature extraction go through."""
    for first in range(0, count, batch):
        yield collate([load(at) for at in range(first, min(first + batch, count))])
