"""The schedule of DiffV2S and DDIM, against formulas and closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.diffv2s.diffusion import alphas_cumprod, ddim, ddim_step, ddim_timesteps, q_sample
from f2v_bench.errors import F2VError
from tests.nn.test_transformer import seeded

BARS = alphas_cumprod(1000)


def test_the_schedule_is_the_cosine_s() -> None:
    """Betas of Nichol and Dhariwal's formula, none above 0.999, multiplied up in numpy."""

    def curve(t: float) -> float:
        return float(np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2)

    betas = [min(1 - curve((t + 1) / 1000) / curve(t / 1000), 0.999) for t in range(1000)]
    np.testing.assert_allclose(BARS[1:], np.cumprod(1 - np.array(betas)), rtol=1e-5, atol=1e-12)
    assert float(BARS[0]) == 1
    assert 0 < float(BARS[-1]) < 1e-8
    assert (BARS.diff() < 0).all()
    assert float(BARS[500]) == pytest.approx(0.4938, abs=1e-4)
    with pytest.raises(F2VError, match="cannot have 0 time steps"):
        alphas_cumprod(0)


def test_noise_takes_the_place_of_what_is_lost() -> None:
    clean, noise = torch.randn(2, 3, 50, 80, generator=seeded())
    torch.testing.assert_close(q_sample(clean, noise, BARS[[0, 0, 0]]), clean)
    x = q_sample(clean, noise, BARS[[100, 500, 900]])
    torch.testing.assert_close(x.std((1, 2)), torch.ones(3), atol=0.02, rtol=0)
    share = (x * clean).mean((1, 2)) / clean.square().mean((1, 2))
    torch.testing.assert_close(share, BARS[[100, 500, 900]].sqrt(), atol=0.02, rtol=0)


@given(times=st.integers(1, 1000), share=st.floats(0, 1))
def test_the_way_back_begins_in_noise_and_ends_clean(times: int, share: float) -> None:
    steps = 1 + round(share * (times - 1))
    stops = ddim_timesteps(times, steps)
    assert (stops[0], stops[-1], len(stops)) == (times, 0, steps + 1)
    assert all(now > then for now, then in pairwise(stops))


@pytest.mark.parametrize("steps", [0, 1001, -3])
def test_no_step_and_too_many_are_refused(steps: int) -> None:
    with pytest.raises(F2VError, match=f"take {steps} steps") as refusal:
        ddim_timesteps(1000, steps)
    assert "1 to 1000" in refusal.value.do


@pytest.mark.parametrize("steps", [1, 7, 50, 1000])
def test_a_perfect_denoiser_recovers_the_clean_signal(steps: int) -> None:
    clean, start = torch.randn(2, 2, 5, 8, generator=seeded())
    torch.testing.assert_close(ddim(lambda *_: clean, 3 * start, BARS, steps), clean)


@pytest.mark.parametrize("then", [0, 1, 400])
def test_a_step_keeps_the_noise_that_is_there(then: int) -> None:
    """With the true x_0, x_t steps to the x_t' of the same noise."""
    clean, noise = torch.randn(2, 2, 5, 8, generator=seeded())
    x = q_sample(clean, noise, BARS[[700, 700]])
    found = ddim_step(x, clean, BARS[700], BARS[then])
    torch.testing.assert_close(found, q_sample(clean, noise, BARS[[then, then]]), atol=1e-5, rtol=1e-5)


def test_ddim_is_written_out() -> None:
    """Four steps in numpy, with the noise and the mean as Song et al. write them."""

    def guess(x: np.ndarray, t: int) -> np.ndarray:
        return np.tanh(0.7 * x + t / 1000)

    start = torch.randn(1, 3, 4, generator=seeded())
    a, x = BARS.double().numpy(), start.double().numpy()
    for t, then in [(1000, 750), (750, 500), (500, 250), (250, 0)]:
        clean = guess(x, t)
        noise = (x - a[t] ** 0.5 * clean) / (1 - a[t]) ** 0.5
        x = a[then] ** 0.5 * (x - (1 - a[t]) ** 0.5 * noise) / a[t] ** 0.5 + (1 - a[then]) ** 0.5 * noise
    asked: list[int] = []

    def predict(now: torch.Tensor, t: int) -> torch.Tensor:
        asked.append(t)
        return torch.from_numpy(guess(now.numpy(), t))

    torch.testing.assert_close(ddim(predict, start, BARS, 4).double(), torch.from_numpy(x), atol=1e-4, rtol=1e-4)
    assert asked == [1000, 750, 500, 250]


def test_the_best_predictor_of_normal_data_leads_to_them() -> None:
    """E[x_0 | x_t] of N(0.3, 0.2^2) in closed form carries noise to that distribution."""
    mean, variance = 0.3, 0.04

    def predict(x: torch.Tensor, t: int) -> torch.Tensor:
        a = BARS[t]
        return mean + a.sqrt() * variance / (a * variance + 1 - a) * (x - a.sqrt() * mean)

    made = ddim(predict, torch.randn(20_000, generator=seeded()), BARS, 200)
    assert made.mean().item() == pytest.approx(mean, abs=0.01)
    assert made.std().item() == pytest.approx(0.2, abs=0.01)
