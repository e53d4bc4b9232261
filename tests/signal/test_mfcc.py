from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.signal.mfcc import mfcc
from tests.nn.published import chirp

#: frames 0 and 50 of one second of chirp, as the package python_speech_features prints them
FIRST = (17.343156, 23.244307, 14.558417, 8.926636, 2.972105, -3.938824, -10.197807, -16.310700, -20.588915, -23.178412)
MIDDLE = (20.103997, 12.862448, -18.889090, -32.089581, -15.557666, 14.259212, 28.871450, 13.835161, -12.534875)


def test_golden_values_of_the_package() -> None:
    found = mfcc(chirp(16_000).numpy())
    assert found.shape == (99, 13)
    assert found[0, : len(FIRST)].tolist() == pytest.approx(FIRST, abs=1e-5)
    assert found[50, : len(MIDDLE)].tolist() == pytest.approx(MIDDLE, abs=1e-5)
    assert found.sum() == pytest.approx(-1960.605478, abs=1e-4)
    assert found[-1, :3].tolist() == pytest.approx([20.945327, 4.020929, -34.190528], abs=1e-5)


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (399, 1), (400, 1), (401, 2), (560, 2), (561, 3), (48_000, 299)]
)
def test_frames_of_samples(samples: int, frames: int) -> None:
    assert mfcc(np.full(samples, 0.1, np.float32)).shape == (frames, 13)


def test_digital_silence_has_the_cepstra_of_the_smallest_number() -> None:
    found = mfcc(np.zeros(1000, np.float32))
    assert found[:, 0] == pytest.approx(np.log(np.finfo(float).eps))
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-9)
    with pytest.raises(ValueError, match="at least one sample"):
        mfcc(np.zeros(0, np.float32))


def test_samples_are_rounded_to_16_bit_integers() -> None:
    quiet = np.full(2000, 0.4 / 32_768, np.float32)  # rounds to zero
    np.testing.assert_array_equal(mfcc(quiet), mfcc(np.zeros(2000, np.float32)))
    loud = np.full(2000, 1.5, np.float32)
    np.testing.assert_array_equal(mfcc(loud), mfcc(np.full(2000, 32_767 / 32_768, np.float32)))
