from __future__ import annotations

import numpy as np
import pytest
import torch

from f2v_bench.nn.vocoders.excitation import PitchNet, excitation_inputs, pad_silence, pulse_train
from f2v_bench.signal.f0 import f0_contour


def glide(start: float, end: float, frames: int) -> torch.Tensor:
    return torch.linspace(start, end, frames)[None]


@pytest.mark.parametrize("f0", [66.0, 100.0, 137.5, 250.0, 480.0])
def test_pulses_are_the_sum_of_all_harmonics(f0: float) -> None:
    """The closed form equals a sum of cosines."""
    found = pulse_train(torch.full((1, 20), f0))[0].double()
    passed = f0 / 16_000 * torch.arange(1, 3201, dtype=torch.float64)
    count = int(8000 // f0)
    expected = sum(torch.cos(2 * torch.pi * k * passed) for k in range(1, count + 1)) * (2 / count) ** 0.5
    assert isinstance(expected, torch.Tensor)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


def test_pulses_have_unit_power_and_the_noise_too() -> None:
    excitation = excitation_inputs(glide(90, 300, 400), vary=False)
    assert float(excitation.pulses.square().mean()) == pytest.approx(1, abs=0.02)
    assert float(excitation.noise.square().mean()) == pytest.approx(1, abs=0.02)


def test_the_f0_tracker_recovers_the_contour() -> None:
    """Within 2 % inside the voiced part, and zero outside it."""
    f0 = torch.zeros(1, 200)
    f0[0, 50:150] = torch.linspace(110, 190, 100)
    pulses = pulse_train(f0)[0].numpy()
    found, _ = f0_contour(pulses, 16_000)
    np.testing.assert_allclose(found[56:144], f0[0, 56:144].numpy(), rtol=0.02)
    assert not pulses[: 160 * 50 - 80].any()
    assert not pulses[160 * 150 - 80 :].any()
    assert pulses[160 * 50 - 80 : 160 * 150 - 80].any()


def test_a_batch_equals_one_by_one_and_a_prefix_its_whole() -> None:
    f0 = torch.stack([glide(100, 150, 60)[0], glide(200, 90, 60)[0]])
    both = excitation_inputs(f0, vary=False)
    for row in range(2):
        alone = excitation_inputs(f0[row : row + 1, :40], vary=False)
        torch.testing.assert_close(alone.noise[0], both.noise[row, :6400], atol=0, rtol=0)
        # the last frame is interpolated towards the next one
        torch.testing.assert_close(alone.pulses[0, :6240], both.pulses[row, :6240], atol=1e-5, rtol=0)


def test_a_segment_has_the_requested_frames() -> None:
    excitation = excitation_inputs(glide(100, 150, 60), vary=False)
    segment = excitation.segment(10, 13)
    assert [tuple(part.shape) for part in segment] == [(1, 3), (1, 480), (1, 480)]
    torch.testing.assert_close(segment.pulses, excitation.pulses[:, 1600:2080], atol=0, rtol=0)


def test_training_draws_new_noise() -> None:
    torch.manual_seed(0)
    first, second = (excitation_inputs(glide(100, 150, 10), vary=True).noise for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.slow
def test_an_hour_keeps_its_phase() -> None:
    """In float32 a phase of 360,000 periods would be wrong by a fiftieth of one; the last pulses equal the first."""
    frames = 360_000
    pulses = pulse_train(torch.full((1, frames), 100.0))[0]
    torch.testing.assert_close(pulses[-1600:], pulses[1600:3200], atol=1e-3, rtol=0)


def test_padding_is_silence() -> None:
    padded = pad_silence(torch.zeros(1, 2, 80), 3)
    assert padded.shape == (1, 80, 8)
    assert padded[0, 0].tolist() == pytest.approx([-11.512925] * 3 + [0, 0] + [-11.512925] * 3)


def test_pitch_is_learned_from_mels() -> None:
    """A hundred steps on one contour; F0 within 5 % and voicing nearly everywhere right."""
    from f2v_bench.nn.layers.log_mel import LogMel

    torch.manual_seed(0)
    f0 = glide(100, 260, 80).clone()
    f0[0, :20] = 0
    wave = 0.05 * pulse_train(f0) + 0.002 * torch.randn(1, 160 * 80)
    mel = LogMel()(wave)
    network = PitchNet(width=64, blocks=2)
    best = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(100):
        loss = torch.stack(list(network.losses(mel, f0).values())).sum()
        best.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
    found = network.f0(mel)
    assert float(((found > 0) == (f0 > 0)).float().mean()) > 0.95
    both = (found > 0) & (f0 > 0)
    assert float(((found - f0).abs() / f0.clamp(min=1))[both].mean()) < 0.05
