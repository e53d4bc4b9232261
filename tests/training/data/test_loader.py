from __future__ import annotations

from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from f2v_bench.modeling.batch import Batch, Example, collate
from f2v_bench.training.data.loader import StepSampler, build_loader, iter_batches
from tests.training.toys import toy_example


def load(index: int, rng: np.random.Generator) -> Example:
    """Build an example that holds its index and a random number."""
    frames = 1 + index % 3
    return Example(frames, {"x": np.full((2 * frames, 1), index, np.float32)}, {"drawn": np.array(rng.random())})


def sampler(**changes: int) -> StepSampler:
    return StepSampler(load, **({"count": 7, "batch": 4, "steps": 9, "seed": 3} | changes))


def contents(batches: list[Batch]) -> list[tuple[int, list[int], list[float]]]:
    """Return step, examples and random numbers of each batch."""
    return [(int(b["step"]), b["x"][:, 0, 0].int().tolist(), b["drawn"].tolist()) for b in batches]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_every_example_once_per_epoch(count: int, batch: int, seed: int) -> None:
    source = sampler(count=count, batch=batch, steps=1 + 3 * count // batch, seed=seed)
    order = [at for step in range(source.steps) for at in source.batch_indices(step)]
    for first in range(0, len(order) - count + 1, count):
        assert sorted(order[first : first + count]) == list(range(count))
    assert order == [at for step in range(source.steps) for at in source.batch_indices(step)]


def test_epochs_and_seeds_have_different_orders() -> None:
    one = sampler(count=30, batch=30, steps=3)
    orders = [tuple(one.batch_indices(step)) for step in range(3)] + [
        tuple(sampler(count=30, batch=30, seed=4).batch_indices(0))
    ]
    assert len(set(orders)) == 4


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 20))
def test_ranks_split_a_batch(world: int, each: int, step: int) -> None:
    parts = [sampler(batch=world * each, rank=rank, world_size=world).batch_indices(step) for rank in range(world)]
    assert [len(part) for part in parts] == [each] * world
    assert Counter(chain(*parts)) == Counter(sampler(batch=world * each).batch_indices(step))


def test_a_resumed_training_gets_equal_batches() -> None:
    whole = contents(list(sampler()))
    assert [step for step, _, _ in whole] == list(range(9))
    for first in (1, 4, 8, 9):
        assert contents(list(sampler(first=first))) == whole[first:]
    drawn = [number for _, _, numbers in whole for number in numbers]
    assert len(set(drawn)) == len(drawn)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any), st.integers(1, 7))
def test_groups_are_visited_one_after_the_other(groups: list[int], batch: int) -> None:
    """Every example comes once per epoch, and the examples of a group in a row."""
    count = sum(groups)
    source = StepSampler(load, count=count, batch=batch, steps=3 * count, seed=3, groups=groups)
    order = [at for step in range(3 * count) for at in source.batch_indices(step)]
    owner = [group for group, size in enumerate(groups) for _ in range(size)]
    for first in range(0, 3 * count, count):
        whole = order[first : first + count]
        assert sorted(whole) == list(range(count))
        changes = sum(owner[now] != owner[after] for now, after in pairwise(whole))
        assert changes == sum(size > 0 for size in groups) - 1
    again = StepSampler(load, count=count, batch=batch, steps=3 * count, seed=3, groups=groups)
    assert again.batch_indices(count) == source.batch_indices(count)


def test_ranks_draw_different_numbers() -> None:
    drawn = [contents(list(sampler(rank=rank, world_size=2)))[0][2] for rank in range(2)]
    assert not set(drawn[0]) & set(drawn[1])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_worker_count_does_not_matter(workers: int) -> None:
    assert contents(list(build_loader(sampler(first=2), workers))) == contents(list(sampler(first=2)))


def test_clips_are_padded_at_their_end() -> None:
    items = [toy_example(at) for at in (2, 0, 4)]
    batch = collate(items)
    assert batch["lengths"].tolist() == [6, 4, 8]
    assert batch["mask"].sum(1).tolist() == [6, 4, 8]
    assert batch["lips"].dtype == torch.uint8
    assert batch["units"].shape == (3, 16)
    for row, item in enumerate(items):
        for name, rate in (("lips", 1), ("units", 2)):
            np.testing.assert_array_equal(batch[name][row, : rate * item.frames], item.sequences[name])
            assert (batch[name][row, rate * item.frames :] == 0).all()


def test_a_sequence_of_another_rate_is_an_error() -> None:
    items = [Example(2, {"x": np.zeros(4)}), Example(3, {"x": np.zeros(5)})]
    with pytest.raises(RuntimeError):
        collate(items)


def test_validation_visits_every_example_in_order() -> None:
    batches = list(iter_batches(lambda at: toy_example(at), 5, 2))
    assert [len(batch["lips"]) for batch in batches] == [2, 2, 1]
    lengths = [int(n) for batch in batches for n in batch["lengths"]]
    assert lengths == [toy_example(at).frames for at in range(5)]
    assert all(now != after for now, after in pairwise(lengths))
