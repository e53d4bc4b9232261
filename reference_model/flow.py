"""From noise to a mel along straight lines: optimal-transport conditional flow matching (OT-CFM).

Lipman et al., "Flow matching for generative modeling" (ICLR 2023); as Matcha-TTS (Mehta et al., ICASSP 2024) uses it
for mels. Guidance without a classifier: Ho and Salimans (2021).
"""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.errors import F2VError, suggest
from reference_model.config import FlowConfig
from reference_model.dit import DiTVelocityNet
from reference_model.solvers import ADAPTIVE, integrate
from reference_model.unet import UNetVelocityNet
from reference_model.velocity_net import VelocityNet

DECODERS: dict[str, type[VelocityNet]] = {"unet": UNetVelocityNet, "dit": DiTVelocityNet}


def interpolate(
    x0: torch.Tensor, x1: torch.Tensor, t: torch.Tensor, sigma_min: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the line from noise to data is at t, and its velocity.

    Args:
        x0: noise, ``(B, ...)``.
        x1: data, ``(B, ...)``.
        t: ``(B,)`` in 0 to 1.
        sigma_min: s, the noise that is left at t = 1.

    Returns:
        x_t = (1 - (1 - s) t) x_0 + t x_1 and u = x_1 - (1 - s) x_0, of the shape of x1.
    """
    t = t.view(-1, *[1] * (x1.ndim - 1))  # (B, 1, ...)
    shrink = 1 - sigma_min
    return (1 - shrink * t) * x0 + t * x1, x1 - shrink * x0


def draw_times(batch: int, device: torch.device, generator: torch.Generator | None = None) -> torch.Tensor:
    """Times of training, ``(B,)``, uniform from 0 to 1."""
    return torch.rand(batch, device=device, generator=generator)


def draw_segments(mask: torch.Tensor, frames: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Frames that a segment of each clip is made of, at a random place within the clip.

    Args:
        mask: bool ``(B, T)``, the real frames first, T at least ``frames``.
        frames: length of the segment; a shorter clip is taken from its start, padding included.
        generator: of the draw.

    Returns:
        int64 ``(B, frames)``, indices below T.
    """
    room = (mask.sum(1) - frames).clamp(min=0) + 1  # (B,) places to start at
    start = (torch.rand(len(mask), device=mask.device, generator=generator) * room).long()  # (B,)
    return torch.minimum(start, room - 1)[:, None] + torch.arange(frames, device=mask.device)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of ``(B, T, C)`` over channels and the frames where ``mask`` ``(B, T)`` is True, a scalar."""
    return values.mul(mask[..., None]).sum() / (mask.sum() * values.shape[2])


class FlowMatching(nn.Module):
    """A velocity field learned from pairs of noise and mel, and the mels that it carries noise to.

    All mels are in the model's own scale, each bin of about mean 0 and variance 1.

    Without the condition mu and the features are zeros. Then the bias of the decoder's first layer is all that stands
    for them, which is the same as a learned vector; both at once are zero throughout a clip in no real condition.

    Args:
        config: see ``FlowConfig``.
        features: channels of the condition beside mu.
        n_mels: bins.

    Raises:
        F2VError: no such decoder, or a width that does not split into the heads.
    """

    def __init__(self, config: FlowConfig, features: int, n_mels: int = 80) -> None:
        super().__init__()
        if config.decoder not in DECODERS:
            raise F2VError(f"no decoder '{config.decoder}'", suggest(config.decoder, DECODERS))
        self.config = config
        self.decoder = DECODERS[config.decoder](config, features, n_mels)

    def loss(
        self,
        mel: torch.Tensor,
        mu: torch.Tensor,
        features: torch.Tensor,
        mask: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Mean of |v(x_t, t, mu, features) - u|^2 over real frames and bins, a scalar.

        In training it is that of one random segment of each clip, where the config asks for segments, and the
        condition is hidden from some of the clips.

        Args:
            mel: x_1, ``(B, T, n_mels)``.
            mu: the prior's mel, ``(B, T, n_mels)``.
            features: ``(B, T, F)``.
            mask: bool ``(B, T)``, True where a frame is real, the real ones first.
            generator: of all that is drawn, on the mel's device.
        """
        if self.training and 0 < self.config.segment < mel.shape[1]:
            chosen = draw_segments(mask, self.config.segment, generator)  # (B, segment)
            mask = mask.gather(1, chosen)
            mel, mu, features = (x.take_along_dim(chosen[..., None], 1) for x in (mel, mu, features))
        noise = torch.randn(mel.shape, dtype=mel.dtype, device=mel.device, generator=generator)  # x_0 (B, T, n_mels)
        t = draw_times(len(mel), mel.device, generator)  # (B,)
        x, u = interpolate(noise, mel, t, self.config.sigma_min)  # (B, T, n_mels) each
        if self.training:
            drawn = torch.rand(len(mel), 1, 1, device=mel.device, generator=generator)
            known = drawn >= self.config.condition_dropout  # (B, 1, 1)
            mu, features = mu * known, features * known
        v = self.decoder(x, t, mu, features, mask)  # (B, T, n_mels)
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
        """Mels, and what each of them cost. A clip's mel follows from its own noise and condition alone.

        Args:
            noise: standard normal, ``(B, T, n_mels)``.
            mu: the prior's mel, ``(B, T, n_mels)``.
            features: ``(B, T, F)``.
            mask: bool ``(B, T)``, True where a frame is real.
            steps: of a fixed-step solver.
            solver: see ``integrate``. An adaptive one takes the clips one by one, each with its own steps.
            guidance: s of v_u + s (v_c - v_u); at 1 only the conditional v_c is evaluated.
            temperature: standard deviation of x_0.
            rtol: of an adaptive solver.
            atol: of an adaptive solver.

        Returns:
            ``(B, T, n_mels)``, zero at padded frames, and the decoder's evaluations of each clip, int64 ``(B,)``; v_u
            and v_c are one each.

        Raises:
            F2VError: no such solver, or no step to take.
        """
        x0 = temperature * noise
        if solver not in ADAPTIVE:
            field = GuidedField(self.decoder, mu, features, mask, guidance=guidance)
            x1, calls = integrate(field, x0, solver=solver, steps=steps)
            return x1 * mask[..., None], torch.full((len(x1),), calls * field.cost)
        mel, evaluations = torch.zeros_like(x0), torch.zeros(len(x0), dtype=torch.int64)
        for clip, inside in enumerate(mask):
            start, *condition = (x[clip : clip + 1, inside] for x in (x0, mu, features, mask))  # (1, n, ...) unpadded
            field = GuidedField(self.decoder, *condition, guidance=guidance)
            mel[clip, inside], calls = integrate(field, start, solver=solver, rtol=rtol, atol=atol)
            evaluations[clip] = calls * field.cost
        return mel, evaluations


class GuidedField:
    """The field v_u + s (v_c - v_u) of a batch of conditions.

    Attributes:
        cost: evaluations of the decoder per clip in one of the field.
    """

    def __init__(
        self, decoder: nn.Module, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor, *, guidance: float
    ) -> None:
        self.decoder, self.guidance = decoder, guidance
        self.cost = 1 if guidance == 1 else 2
        self.condition = (mu, features, mask)  # (B, T, n_mels), (B, T, F), (B, T)
        if self.cost == 2:  # the unconditional half first: (2 B, T, ...)
            self.condition = (_after_zeros(mu), _after_zeros(features), torch.cat([mask, mask]))

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """``(B, T, n_mels)`` at the scalar t."""
        v: torch.Tensor = self.decoder(x.repeat(self.cost, 1, 1), t.expand(self.cost * len(x)), *self.condition)
        if self.cost == 1:
            return v
        unconditional, conditional = v.chunk(2)  # (B, T, n_mels) each
        return unconditional + self.guidance * (conditional - unconditional)


def _after_zeros(x: torch.Tensor) -> torch.Tensor:
    """Zeros of the shape of x, then x: ``(2 B, ...)``."""
    return torch.cat([torch.zeros_like(x), x])
