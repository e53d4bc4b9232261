"""Optimal-transport conditional flow matching (OT-CFM): noise to mel along straight lines.

Lipman et al., "Flow matching for generative modeling" (ICLR 2023), applied to mels as in Matcha-TTS (Mehta et al.,
ICASSP 2024). Classifier-free guidance: Ho and Salimans (2021).
"""

from __future__ import annotations

import torch
from torch import nn

from reference_model.config import FlowConfig
from reference_model.solvers import ADAPTIVE, integrate


def interpolate(
    x0: torch.Tensor, x1: torch.Tensor, t: torch.Tensor, sigma_min: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the point at t on the line from noise to data, and its velocity.

    Args:
        x0: noise, ``(B, ...)``.
        x1: data, ``(B, ...)``.
        t: flow time, ``(B,)``, 0 to 1.
        sigma_min: s, the noise left at t = 1.

    Returns:
        x_t = (1 - (1 - s) t) x_0 + t x_1 and u = x_1 - (1 - s) x_0, of the shape of x1.
    """
    t = t.view(-1, *[1] * (x1.ndim - 1))  # (B, 1, ...)
    shrink = 1 - sigma_min
    return (1 - shrink * t) * x0 + t * x1, x1 - shrink * x0


def sample_times(batch: int, device: torch.device, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw training times ``(B,)``, uniform from 0 to 1."""
    return torch.rand(batch, device=device, generator=generator)


def sample_segments(mask: torch.Tensor, frames: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw the frame indices of a segment at a random place within each clip.

    Args:
        mask: bool ``(B, T)``, real frames first, T at least ``frames``.
        frames: length of the segment; a shorter clip is taken from its start, padding included.
        generator: random generator.

    Returns:
        int64 ``(B, frames)``, indices below T.
    """
    places = (mask.sum(1) - frames).clamp(min=0) + 1  # (B,) possible starts
    start = (torch.rand(len(mask), device=mask.device, generator=generator) * places).long()  # (B,)
    return torch.minimum(start, places - 1)[:, None] + torch.arange(frames, device=mask.device)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average ``(B, T, C)`` over channels and the frames where ``mask`` ``(B, T)`` is True, to a scalar."""
    return values.mul(mask[..., None]).sum() / (mask.sum() * values.shape[2])


class FlowMatching(nn.Module):
    """Velocity field trained on pairs of noise and mel, and its integration from noise to mels.

    All mels are standardized: mean 0 and variance 1.

    For classifier-free guidance mu and the features are replaced by zeros. The bias of the velocity net's first layer
    then stands for the missing condition, as a learned vector would. No real condition is zero throughout a clip.

    Args:
        velocity_net: velocity field, as of ``velocity_net.VelocityNet``.
        config: settings of training and sampling, see ``FlowConfig``.
    """

    def __init__(self, velocity_net: nn.Module, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.velocity_net = velocity_net

    def loss(
        self,
        mel: torch.Tensor,
        mu: torch.Tensor,
        features: torch.Tensor,
        mask: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Compute the mean of |v(x_t, t, mu, features) - u|^2 over real frames and bins, a scalar.

        In training mode it is computed on one random segment of each clip if the config asks for segments, and the
        condition is dropped for some of the clips.

        Args:
            mel: target x_1, standardized, ``(B, T, n_mels)``.
            mu: mel of the prior, ``(B, T, n_mels)``.
            features: condition, ``(B, T, F)``.
            mask: bool ``(B, T)``, True at real frames, the real ones first.
            generator: random generator on the mel's device.
        """
        if self.training and 0 < self.config.segment < mel.shape[1]:
            segment = sample_segments(mask, self.config.segment, generator)  # (B, segment)
            mask = mask.gather(1, segment)
            mel, mu, features = (x.take_along_dim(segment[..., None], 1) for x in (mel, mu, features))
        noise = torch.randn(mel.shape, dtype=mel.dtype, device=mel.device, generator=generator)  # x_0 (B, T, n_mels)
        t = sample_times(len(mel), mel.device, generator)  # (B,)
        x, u = interpolate(noise, mel, t, self.config.sigma_min)  # (B, T, n_mels) each
        if self.training:
            draw = torch.rand(len(mel), 1, 1, device=mel.device, generator=generator)
            keep = draw >= self.config.condition_dropout  # (B, 1, 1)
            mu, features = mu * keep, features * keep
        v = self.velocity_net(x, t, mu, features, mask)  # (B, T, n_mels)
        return masked_mean((v - u).square(), mask)

    @torch.no_grad()
    def sample(
        self,
        noise: torch.Tensor,
        mu: torch.Tensor,
        features: torch.Tensor,
        mask: torch.Tensor,
        *,
        steps: int,
        solver: str,
        guidance: float,
        temperature: float = 1.0,
        rtol: float = 1e-4,
        atol: float = 1e-4,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sample mels, and count the evaluations of each. A clip's mel depends on its own noise and condition alone.

        Args:
            noise: standard normal noise, ``(B, T, n_mels)``.
            mu: mel of the prior, ``(B, T, n_mels)``.
            features: condition, ``(B, T, F)``.
            mask: bool ``(B, T)``, True at real frames.
            steps: number of steps of a fixed-step solver.
            solver: name, see ``integrate``; an adaptive one takes the clips one by one, each with its own steps.
            guidance: s of v_u + s (v_c - v_u); at 1 only the conditional v_c is evaluated.
            temperature: standard deviation of x_0.
            rtol: relative tolerance of an adaptive solver.
            atol: absolute tolerance of an adaptive solver.

        Returns:
            Standardized mels ``(B, T, n_mels)``, zero at padded frames, and evaluations of the velocity net per clip,
            int64 ``(B,)``; v_u and v_c count one each.

        Raises:
            ValueError: the solver is unknown, or there are fewer than one step.
        """
        x0 = temperature * noise
        if solver not in ADAPTIVE:
            field = GuidedField(self.velocity_net, mu, features, mask, guidance=guidance)
            x1, calls = integrate(field, x0, solver=solver, steps=steps)
            return x1 * mask[..., None], torch.full((len(x1),), calls * field.cost)
        mel, evaluations = torch.zeros_like(x0), torch.zeros(len(x0), dtype=torch.int64)
        for clip, real in enumerate(mask):
            start, *condition = (x[clip : clip + 1, real] for x in (x0, mu, features, mask))  # (1, n, ...) unpadded
            field = GuidedField(self.velocity_net, *condition, guidance=guidance)
            mel[clip, real], calls = integrate(field, start, solver=solver, rtol=rtol, atol=atol)
            evaluations[clip] = calls * field.cost
        return mel, evaluations


class GuidedField:
    """Velocity field v_u + s (v_c - v_u) under a batch of conditions.

    Attributes:
        cost: evaluations of the velocity net per clip and call.
    """

    def __init__(
        self, velocity_net: nn.Module, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor, *, guidance: float
    ) -> None:
        self.velocity_net, self.guidance = velocity_net, guidance
        self.cost = 1 if guidance == 1 else 2
        self.condition = (mu, features, mask)  # (B, T, n_mels), (B, T, F), (B, T)
        if self.cost == 2:  # the unconditional half first: (2 B, T, ...)
            self.condition = (_prepend_zeros(mu), _prepend_zeros(features), torch.cat([mask, mask]))

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return the velocity ``(B, T, n_mels)`` at ``x`` and the scalar ``t``."""
        v: torch.Tensor = self.velocity_net(x.repeat(self.cost, 1, 1), t.expand(self.cost * len(x)), *self.condition)
        if self.cost == 1:
            return v
        unconditional, conditional = v.chunk(2)  # (B, T, n_mels) each
        return unconditional + self.guidance * (conditional - unconditional)


def _prepend_zeros(x: torch.Tensor) -> torch.Tensor:
    """Prepend zeros of the shape of x: ``(B, ...)`` to ``(2 B, ...)``."""
    return torch.cat([torch.zeros_like(x), x])
