from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.training.data.units import HOP, MfccUnits, fit_units, mfcc_features
from tests.clips import babble

CONFIG = UnitConfig(count=8)


def test_features_have_50_hz_and_no_mean_over_the_clip() -> None:
    for samples in (640 * 30, 640 * 30 + 319, HOP):
        features = mfcc_features(babble(2.0)[:samples])
        assert features.shape == (samples // HOP, 39)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    loud, quiet = mfcc_features(babble(1.0)), mfcc_features(0.5 * babble(1.0))
    np.testing.assert_allclose(
        loud, quiet, atol=0.5
    )  # loudness changes the mean alone, except for librosa's 80 dB floor


def test_units_are_deterministic() -> None:
    clips = [mfcc_features(babble(1.0, seed)) for seed in range(4)]
    one, other = fit_units(clips, CONFIG), fit_units(clips, CONFIG)
    np.testing.assert_array_equal(one.centers, other.centers)
    np.testing.assert_array_equal(one.label(babble(1.0, 9)), other.label(babble(1.0, 9)))
    assert not np.array_equal(fit_units(clips, UnitConfig(count=8, seed=1)).centers, one.centers)
    assert one.label(babble(1.0)).shape == (50,)
    assert len(set(one.label(babble(1.0)).tolist())) > 3


def test_a_unit_is_the_nearest_center() -> None:
    rng = np.random.default_rng(0)
    centers, scale = rng.standard_normal((6, 39)).astype(np.float32), rng.uniform(1, 2, 39).astype(np.float32)
    points = rng.standard_normal((20, 39)).astype(np.float32)
    distances = ((points[:, None] / scale - centers) ** 2).sum(2)
    np.testing.assert_array_equal(MfccUnits(centers, scale).nearest(points), distances.argmin(1))
    np.testing.assert_array_equal(MfccUnits(centers, scale).nearest(centers * scale), np.arange(6))


def test_too_little_audio_is_refused() -> None:
    with pytest.raises(F2VError, match="50 audio frames cannot make 100 units"):
        fit_units([mfcc_features(babble(1.0))], UnitConfig())
