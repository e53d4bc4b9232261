from __future__ import annotations

import librosa
import numpy as np
import pytest

from f2v_bench.media import resample
from f2v_bench.signal.griffin_lim import griffin_lim_24k
from f2v_bench.signal.mel_24k import SAMPLE_RATE, log_mel
from tests.clips import RATE, babble


def speech(seconds: float) -> np.ndarray:
    return resample(babble(seconds), RATE, SAMPLE_RATE)


@pytest.mark.parametrize("samples", [2400, 36_000, 35_999])
def test_it_equals_the_mel_of_the_recipe(samples: int) -> None:
    """Equal to librosa with the recipe's sizes, without its last frame at the end."""
    sound = speech(1.5)[:samples]
    spectrum = np.abs(librosa.stft(sound, n_fft=2048, hop_length=300, win_length=1200, pad_mode="reflect")).T
    filters = librosa.filters.mel(sr=24_000, n_fft=2048, n_mels=80, fmin=80, fmax=7600)
    theirs = np.log10(np.maximum(1e-10, spectrum @ filters.T))
    ours = log_mel(sound, SAMPLE_RATE)
    assert ours.shape == (samples // 300, 80)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=2e-3)


def test_silence_is_the_floor_and_short_sound_has_a_frame() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(24_000, np.float32), SAMPLE_RATE), -10, atol=1e-5)
    for count in (0, 1, 299, 1024, 1025):
        made = log_mel(speech(0.1)[:count], SAMPLE_RATE)
        assert made.shape == (max(1, count // 300), 80)
        assert np.isfinite(made).all()


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="defined at 24000 Hz, got 16000"):
        log_mel(speech(0.1), 16_000)


def test_griffin_lim_recovers_the_mel() -> None:
    mel = log_mel(speech(1.5), SAMPLE_RATE)
    sound = griffin_lim_24k(mel, np.random.default_rng(0))
    assert sound.shape == (300 * len(mel),)
    assert sound.dtype == np.float32
    loud = mel > mel.max() - 3 / np.log(10)
    assert np.abs(log_mel(sound, SAMPLE_RATE) - mel)[loud].mean() < 0.1 / np.log(10)
    np.testing.assert_array_equal(sound, griffin_lim_24k(mel, np.random.default_rng(0)))
