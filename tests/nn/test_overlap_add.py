from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from f2v_bench.nn.layers.overlap_add import cross_fade_windows, windows

SIZES = st.tuples(st.integers(1, 200), st.integers(1, 50), st.integers(0, 49)).filter(lambda one: one[2] < one[1])


@given(SIZES)
def test_windows_cover_the_sequence_and_overlap_enough(sizes: tuple[int, int, int]) -> None:
    frames, size, overlap = sizes
    bounds = windows(frames, size, overlap)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == frames
    assert all(end - first == min(size, frames) for first, end in bounds)
    for (first, end), (after, _) in pairwise(bounds):
        assert first < after <= end - overlap


@given(SIZES)
def test_a_constant_stays_constant(sizes: tuple[int, int, int]) -> None:
    faded = cross_fade_windows(*sizes, lambda first, end: np.full((end - first, 2), 3, np.float32))
    assert faded.shape == (sizes[0], 2)
    assert faded.dtype == np.float32
    np.testing.assert_allclose(faded, 3, rtol=1e-6)


@given(SIZES, st.integers(0, 2**31))
def test_windows_that_agree_give_the_whole(sizes: tuple[int, int, int], seed: int) -> None:
    whole = np.random.default_rng(seed).standard_normal((sizes[0], 3)).astype(np.float32)
    asked: list[tuple[int, int]] = []

    def window(first: int, end: int) -> NDArray[np.float32]:
        asked.append((first, end))
        return whole[first:end]

    np.testing.assert_allclose(cross_fade_windows(*sizes, window), whole, rtol=1e-5, atol=1e-6)
    assert asked == windows(*sizes)
    if len(asked) == 1:
        np.testing.assert_array_equal(cross_fade_windows(*sizes, window), whole)


def test_one_window_fades_into_the_next() -> None:
    faded = cross_fade_windows(18, 10, 2, lambda first, end: np.full((end - first, 1), float(first > 0), np.float32))
    assert (faded[:8] == 0).all()
    assert (faded[10:] == 1).all()
    np.testing.assert_allclose(faded[8:10, 0], [1 / 3, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("overlap", [5, -1])
def test_an_impossible_overlap_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap of windows of 5 frames"):
        windows(20, 5, overlap)
