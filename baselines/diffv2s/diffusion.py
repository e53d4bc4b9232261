"""From a clean sequence to noise, and back by DDIM.

    x_t  = sqrt(a_t) x_0 + sqrt(1 - a_t) e                 e ~ N(0, I)
    x_t' = sqrt(a_t') x_0^ + sqrt(1 - a_t') (x_t - sqrt(a_t) x_0^) / sqrt(1 - a_t)

a_t is alpha-bar of Ho et al., "Denoising diffusion probabilistic models" (NeurIPS 2020), with the cosine schedule of
Nichol and Dhariwal (ICML 2021); the way back is that of Song et al., "Denoising diffusion implicit models" (ICLR 2021)
with eta 0. The network says x_0^.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import cos, pi

import torch

from f2v_bench.errors import F2VError

OFFSET = 0.008  # of the cosine, so that the first steps add some noise
LARGEST = 0.999  # beta

#: a clean x_0^ of x_t, whose shape it has, and t
Predict = Callable[[torch.Tensor, int], torch.Tensor]


def alphas_cumprod(times: int) -> torch.Tensor:
    """a_0 = 1 down to a_T, float32 ``(T + 1,)``.

    a_t / a_(t - 1) = max(f(t) / f(t - 1), 1 - 0.999) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2).

    Raises:
        F2VError: no time at all.
    """
    if times < 1:
        raise F2VError(f"a diffusion cannot have {times} times", "choose one or more")
    curve = torch.tensor([cos((t / times + OFFSET) / (1 + OFFSET) * pi / 2) ** 2 for t in range(times + 1)])
    curve = curve.double()
    kept = (curve[1:] / curve[:-1]).clamp(min=1 - LARGEST)
    return torch.cat([torch.ones(1), kept.cumprod(0)]).float()


def q_sample(clean: torch.Tensor, noise: torch.Tensor, bar: torch.Tensor) -> torch.Tensor:
    """x_t of x_0 and e, ``(B, T, C)`` each; ``bar`` is a_t, ``(B,)``."""
    bar = bar[:, None, None]
    return bar.sqrt() * clean + (1 - bar).sqrt() * noise


def ddim_timesteps(times: int, steps: int) -> list[int]:
    """The times that DDIM stands at: from T down to 0, as evenly as whole numbers allow.

    Raises:
        F2VError: no step, or more than there are times.
    """
    if not 1 <= steps <= times:
        raise F2VError(f"DDIM cannot go back {times} times in {steps} steps", f"choose 1 to {times} steps")
    return [round(times * (steps - at) / steps) for at in range(steps + 1)]


def ddim_step(x: torch.Tensor, clean: torch.Tensor, now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """x_t' of x_t and x_0^.

    Args:
        x: x_t.
        clean: x_0^, of its shape.
        now: a_t, a scalar below 1.
        then: a_t', a scalar.
    """
    noise = (x - now.sqrt() * clean) / (1 - now).sqrt()
    return then.sqrt() * clean + (1 - then).sqrt() * noise


def ddim(predict: Predict, noise: torch.Tensor, bars: torch.Tensor, steps: int) -> torch.Tensor:
    """x_0 of x_T, which is noise, by as many evaluations of ``predict`` as steps.

    Args:
        predict: says x_0^.
        noise: standard normal, of any shape.
        bars: ``alphas_cumprod``.
        steps: see ``ddim_timesteps``.

    Raises:
        F2VError: as ``ddim_timesteps``.
    """
    x = noise
    for now, then in pairwise(ddim_timesteps(len(bars) - 1, steps)):
        x = ddim_step(x, predict(x, now), bars[now], bars[then])
    return x
