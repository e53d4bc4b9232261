from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2v_bench.face.smooth import fill_gaps, smooth


def test_gaps_are_filled_on_a_line_and_ends_with_the_nearest() -> None:
    series = np.array([np.nan, 1, np.nan, np.nan, 4, np.nan])
    assert fill_gaps(series).tolist() == [1, 1, 2, 3, 4, 4]
    assert np.isnan(series[0])


def test_columns_are_filled_each_by_itself() -> None:
    series = np.array([[[0, np.nan]], [[np.nan, np.nan]], [[2, np.nan]]])
    assert fill_gaps(series)[:, 0, 0].tolist() == [0, 1, 2]
    assert np.isnan(fill_gaps(series)[:, 0, 1]).all()


@given(st.floats(-1e3, 1e3), st.integers(1, 40))
def test_what_stands_still_stays(value: float, length: int) -> None:
    assert smooth(np.full((length, 2), value), 3.0, median=5) == pytest.approx(value, abs=1e-6)


def test_an_outlier_leaves_no_trace() -> None:
    series = np.zeros(30)
    series[10] = 1e3
    assert np.abs(smooth(series, 2.0, median=3)).max() == 0
