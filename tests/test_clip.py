from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from tests.clips import RATE, tone


@pytest.mark.parametrize("samples", [np.zeros((2, 3), np.float32), np.zeros(3, np.float64)])
def test_a_waveform_is_mono_float32(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32"):
        Waveform(samples, RATE)


def test_the_hash_depends_on_samples_and_rate() -> None:
    wave = Waveform(tone(0.1), RATE)
    assert wave.sha256 == Waveform(tone(0.1), RATE).sha256
    assert wave.sha256 != Waveform(tone(0.1), 8000).sha256
    assert wave.sha256 != Waveform(tone(0.1, gain=0.31), RATE).sha256


def test_validate_names_the_failure() -> None:
    with pytest.raises(ClipFailure, match="here has no samples") as empty:
        Waveform(np.zeros(0, np.float32), RATE).validate("here")
    assert empty.value.kind is FailureKind.EMPTY_AUDIO
    with pytest.raises(ClipFailure, match="1 NaN or infinite"):
        Waveform(np.array([0, np.inf], np.float32), RATE).validate("here")
