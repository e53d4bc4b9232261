from __future__ import annotations

import numpy as np
import pytest
import torch

from f2v_bench.nn.layers.log_mel import LogMel
from f2v_bench.signal.mel import FLOOR, log_mel
from tests.nn.published import chirp


@pytest.mark.parametrize("samples", [0, 10, 159, 240, 241, 640, 8160, 16_079])
def test_it_equals_the_mel_spectrogram_of_numpy(samples: int) -> None:
    rng = np.random.default_rng(samples)
    wave = (0.1 * rng.standard_normal(samples)).astype(np.float32)
    wave[samples // 2 :] *= 1e-4  # down to the floor
    found = LogMel()(torch.from_numpy(wave)[None])
    expected = log_mel(wave, 16_000)
    assert found.shape == (1, *expected.shape)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)


def test_a_batch_equals_its_clips_alone() -> None:
    batch = torch.stack([chirp(3200), 0.1 * chirp(3200).flip(0)])
    both = LogMel()(batch)
    for row, wave in zip(both, batch, strict=True):
        torch.testing.assert_close(row, LogMel()(wave[None])[0], atol=1e-6, rtol=0)


def test_gradients_are_finite_in_silence_and_reach_every_sample_of_speech() -> None:
    samples = torch.stack([torch.zeros(1600), chirp(1600)]).requires_grad_()
    mel = LogMel()(samples)
    assert bool((mel[0] == torch.tensor(FLOOR).log()).all())
    (gradient,) = torch.autograd.grad(mel.square().sum(), samples)
    assert bool(gradient.isfinite().all())
    assert int((gradient[1] != 0).sum()) > 1590


def test_autocast_keeps_full_precision() -> None:
    wave = chirp(3200)[None]
    with torch.autocast("cpu", torch.bfloat16):
        found = LogMel()(wave.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, LogMel()(wave.bfloat16().float()), atol=0, rtol=0)
