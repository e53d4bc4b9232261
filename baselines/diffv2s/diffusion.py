"""Diffusion process from a clean sequence to noise, and its DDIM sampling.

    x_t  = sqrt(a_t) x_0 + sqrt(1 - a_t) e                 e ~ N(0, I)
    x_t' = sqrt(a_t') x_0^ + sqrt(1 - a_t') (x_t - sqrt(a_t) x_0^) / sqrt(1 - a_t)

a_t is alpha-bar of Ho et al., "Denoising diffusion probabilistic models" (NeurIPS 2020), with the cosine schedule of
Nichol and Dhariwal (ICML 2021); sampling is that of Song et al., "Denoising diffusion implicit models" (ICLR 2021)
with eta 0. The network predicts x_0^.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import cos, pi

import torch

from f2v_bench.errors import F2VError

OFFSET = 0.008  # offset of the cosine, so that the first steps add some noise
MAX_BETA = 0.999

#: predicts x_0^ from x_t and t, in the shape of x_t
Predict = Callable[[torch.Tensor, int], torch.Tensor]


def alphas_cumprod(num_timesteps: int) -> torch.Tensor:
    """Return a_0 = 1 down to a_T, float32 ``(T + 1,)``.

    a_t / a_(t - 1) = max(f(t) / f(t - 1), 1 - 0.999) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2).

    Raises:
        F2VError: no time step.
    """
    if num_timesteps < 1:
        raise F2VError(f"a diffusion cannot have {num_timesteps} time steps", "choose one or more")
    count = num_timesteps
    curve = torch.tensor([cos((t / count + OFFSET) / (1 + OFFSET) * pi / 2) ** 2 for t in range(count + 1)])
    curve = curve.double()
    ratio = (curve[1:] / curve[:-1]).clamp(min=1 - MAX_BETA)
    return torch.cat([torch.ones(1), ratio.cumprod(0)]).float()


def q_sample(clean: torch.Tensor, noise: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Return x_t.

    Args:
        clean: clean sequence x_0, ``(B, T, C)``.
        noise: standard normal e, ``(B, T, C)``.
        alpha: a_t, ``(B,)``.
    """
    alpha = alpha[:, None, None]
    return alpha.sqrt() * clean + (1 - alpha).sqrt() * noise


def ddim_timesteps(num_timesteps: int, steps: int) -> list[int]:
    """Return the time steps of DDIM, from T down to 0, as evenly as whole numbers allow.

    Raises:
        F2VError: no step, or more steps than time steps.
    """
    if not 1 <= steps <= num_timesteps:
        raise F2VError(
            f"DDIM cannot take {steps} steps over {num_timesteps} time steps", f"choose 1 to {num_timesteps} steps"
        )
    return [round(num_timesteps * (steps - step) / steps) for step in range(steps + 1)]


def ddim_step(x: torch.Tensor, clean: torch.Tensor, alpha: torch.Tensor, next_alpha: torch.Tensor) -> torch.Tensor:
    """Return x_t'.

    Args:
        x: noisy sequence x_t.
        clean: predicted clean sequence x_0^, of the same shape.
        alpha: a_t, a scalar below 1.
        next_alpha: a_t', a scalar.
    """
    noise = (x - alpha.sqrt() * clean) / (1 - alpha).sqrt()
    return next_alpha.sqrt() * clean + (1 - next_alpha).sqrt() * noise


def ddim(predict: Predict, noise: torch.Tensor, alphas: torch.Tensor, steps: int) -> torch.Tensor:
    """Sample x_0 from noise x_T with one evaluation of ``predict`` per step.

    Args:
        predict: function that predicts x_0^.
        noise: standard normal samples, of any shape.
        alphas: output of ``alphas_cumprod``.
        steps: number of steps, as for ``ddim_timesteps``.

    Raises:
        F2VError: as ``ddim_timesteps``.
    """
    x = noise
    for t, next_t in pairwise(ddim_timesteps(len(alphas) - 1, steps)):
        x = ddim_step(x, predict(x, t), alphas[t], alphas[next_t])
    return x
