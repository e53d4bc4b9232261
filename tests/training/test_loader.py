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
from tests.training.toys import toy_item


def load(index: int, rng: np.random.Generator) -> Example:
    """A clip that tells its number, and what was drawn for it."""
    frames = 1 + index % 3
    return Example(frames, {"x": np.full((2 * frames, 1), index, np.float32)}, {"drawn": np.array(rng.random())})


def steps(**changes: int) -> StepSampler:
    return StepSampler(load, **({"count": 7, "batch": 4, "steps": 9, "seed": 3} | changes))


def seen(batches: list[Batch]) -> list[tuple[int, list[int], list[float]]]:
    """Step, clips and what was drawn, of each batch."""
    return [(int(b["step"]), b["x"][:, 0, 0].int().tolist(), b["drawn"].tolist()) for b in batches]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_every_clip_once_a_round(count: int, batch: int, seed: int) -> None:
    source = steps(count=count, batch=batch, steps=1 + 3 * count // batch, seed=seed)
    order = [at for step in range(source.steps) for at in source.clips_of(step)]
    for first in range(0, len(order) - count + 1, count):
        assert sorted(order[first : first + count]) == list(range(count))
    assert order == [at for step in range(source.steps) for at in source.clips_of(step)]


def test_rounds_and_seeds_have_orders_of_their_own() -> None:
    one = steps(count=30, batch=30, steps=3)
    orders = [tuple(one.clips_of(step)) for step in range(3)] + [tuple(steps(count=30, batch=30, seed=4).clips_of(0))]
    assert len(set(orders)) == 4


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 20))
def test_ranks_share_a_batch_out(world: int, each: int, step: int) -> None:
    parts = [steps(batch=world * each, rank=rank, world=world).clips_of(step) for rank in range(world)]
    assert [len(part) for part in parts] == [each] * world
    assert Counter(chain(*parts)) == Counter(steps(batch=world * each).clips_of(step))


def test_a_resumed_training_sees_the_same_batches() -> None:
    whole = seen(list(steps()))
    assert [step for step, _, _ in whole] == list(range(9))
    for first in (1, 4, 8, 9):
        assert seen(list(steps(first=first))) == whole[first:]
    drawn = [number for _, _, numbers in whole for number in numbers]
    assert len(set(drawn)) == len(drawn)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any), st.integers(1, 7))
def test_groups_are_gone_through_one_after_the_other(groups: list[int], batch: int) -> None:
    """Every clip once a round, a group's clips in a row, and the groups in another order each round."""
    count = sum(groups)
    source = StepSampler(load, count=count, batch=batch, steps=3 * count, seed=3, groups=groups)
    order = [at for step in range(3 * count) for at in source.clips_of(step)]
    owner = [group for group, size in enumerate(groups) for _ in range(size)]
    for first in range(0, 3 * count, count):
        whole = order[first : first + count]
        assert sorted(whole) == list(range(count))
        changes = sum(owner[now] != owner[after] for now, after in pairwise(whole))
        assert changes == sum(size > 0 for size in groups) - 1
    again = StepSampler(load, count=count, batch=batch, steps=3 * count, seed=3, groups=groups)
    assert again.clips_of(count) == source.clips_of(count)


def test_ranks_draw_for_themselves() -> None:
    drawn = [seen(list(steps(rank=rank, world=2)))[0][2] for rank in range(2)]
    assert not set(drawn[0]) & set(drawn[1])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_worker_count_does_not_matter(workers: int) -> None:
    assert seen(list(build_loader(steps(first=2), workers))) == seen(list(steps(first=2)))


def test_clips_are_padded_at_their_end() -> None:
    items = [toy_item(at) for at in (2, 0, 4)]
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


def test_validation_goes_through_every_clip_in_order() -> None:
    batches = list(iter_batches(lambda at: toy_item(at), 5, 2))
    assert [len(batch["lips"]) for batch in batches] == [2, 2, 1]
    lengths = [int(n) for batch in batches for n in batch["lengths"]]
    assert lengths == [toy_item(at).frames for at in range(5)]
    assert all(now != after for now, after in pairwise(lengths))
