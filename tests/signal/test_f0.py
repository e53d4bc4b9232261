from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.signal.f0 import F0_MAX, F0_MIN, HOP_LENGTH, f0_contour, f0_protocol
from f2v_bench.timing import SAMPLE_RATE


def tone(frequency: float, seconds: float = 0.6, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("frequency", [80.0, 150.0, 220.0, 440.0])
def test_a_tone_has_its_own_frequency(frequency: float) -> None:
    f0, _ = f0_contour(tone(frequency), SAMPLE_RATE)
    inner = f0[5:-5]  # the ends include padding
    assert (inner > 0).all()
    assert np.abs(1200 * np.log2(inner / frequency)).max() < 25  # cents; librosa's grid is 10 cents wide


def test_shape_type_and_times() -> None:
    f0, times = f0_contour(tone(150.0, 0.5), SAMPLE_RATE)
    assert f0.shape == times.shape == (1 + 8000 // HOP_LENGTH,)
    assert f0.dtype == times.dtype == np.float32
    np.testing.assert_allclose(times, np.arange(len(f0)) * 0.01, atol=1e-6)
    assert ((f0 == 0) | ((f0 >= F0_MIN - 1) & (f0 <= F0_MAX + 1))).all()


def test_silence_and_noise_are_unvoiced() -> None:
    assert not f0_contour(np.zeros(8000, np.float32), SAMPLE_RATE)[0].any()
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    assert (f0_contour(noise, SAMPLE_RATE)[0] > 0).mean() < 0.1


def test_another_rate_is_resampled_to_the_same_contour() -> None:
    own, _ = f0_contour(tone(180.0), SAMPLE_RATE)
    other, _ = f0_contour(tone(180.0, rate=44_100), 44_100)
    assert len(other) == len(own)
    np.testing.assert_allclose(other[5:-5], own[5:-5], rtol=0.01)


def test_the_scale_has_no_effect() -> None:
    loud, _ = f0_contour(tone(150.0), SAMPLE_RATE)
    quiet, _ = f0_contour(tone(150.0) * np.float32(0.25), SAMPLE_RATE)
    np.testing.assert_array_equal(loud, quiet)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(0,\)"):
        f0_contour(np.zeros(0, np.float32), SAMPLE_RATE)


def test_the_protocol_names_estimator_range_hop_and_frame() -> None:
    assert f0_protocol().startswith("f0:v1/pyin-65-500Hz/hop-160/frame-1024/sr-16000|librosa:")
