from __future__ import annotations

import librosa
import numpy as np
import pytest

from f2v_bench.signal.energy import energy_contour
from f2v_bench.signal.griffin_lim import griffin_lim
from f2v_bench.signal.mel import FLOOR, log_mel, magnitude
from f2v_bench.timing import SAMPLE_RATE
from tests.clips import RATE, babble, tone


@pytest.mark.parametrize("samples", [640, 16_000, 47_360, 48_000])
def test_four_frames_per_video_frame(samples: int) -> None:
    assert log_mel(babble(3)[:samples], RATE).shape == (samples // 160, 80)


def test_magnitude_equals_that_of_librosa() -> None:
    wave = babble(1.0)
    padded = np.pad(wave, 240, mode="reflect")
    theirs = np.abs(librosa.stft(padded, n_fft=640, hop_length=160, center=False)).T
    np.testing.assert_allclose(magnitude(wave, RATE), theirs, atol=2e-4)


def test_silence_is_the_floor_and_gain_a_shift() -> None:
    assert np.all(log_mel(np.zeros(16_000, np.float32), RATE) == np.float32(np.log(FLOOR)))
    loud, soft = log_mel(babble(1), RATE), log_mel(babble(1) / 2, RATE)
    audible = soft > np.log(FLOOR) + 1
    np.testing.assert_allclose((loud - soft)[audible], np.log(2), atol=1e-3)
    assert energy_contour(babble(1), RATE).shape == (100,)


@pytest.mark.parametrize("count", [0, 1, 100, 241])
def test_short_input_has_one_frame(count: int) -> None:
    assert log_mel(tone(1)[:count], RATE).shape == (1, 80)


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=f"defined at {SAMPLE_RATE} Hz, got 8000"):
        log_mel(tone(1), 8000)


def test_griffin_lim_recovers_the_mel() -> None:
    mel = log_mel(babble(1.5), RATE)
    wave = griffin_lim(mel, np.random.default_rng(0))
    assert wave.shape == (160 * len(mel),)
    assert wave.dtype == np.float32
    loud = mel > mel.max() - 3
    assert np.abs(log_mel(wave, RATE) - mel)[loud].mean() < 0.1
    np.testing.assert_array_equal(wave, griffin_lim(mel, np.random.default_rng(0)))
    assert not np.array_equal(wave, griffin_lim(mel, np.random.default_rng(1)))
