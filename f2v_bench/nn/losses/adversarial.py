"""Losses of adversarial training for one batch: of the discriminators and of the generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from f2v_bench.nn.vocoders.discriminators import (
    DiscriminatorOutput,
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)


def discriminator_step_loss(
    discriminators: Discriminators, real: torch.Tensor, generated: torch.Tensor
) -> torch.Tensor:
    """Compute the loss of the discriminators for samples ``(B, n)`` each, without gradients for the generator."""
    of_real, of_generated = _split_halves(discriminators(torch.cat([real, generated.detach()])))
    return discriminator_loss(of_real, of_generated)


def generator_adversarial_loss(
    discriminators: Discriminators, real: torch.Tensor, generated: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute adversarial and feature matching loss of the generator, without gradients for the discriminators.

    Args:
        discriminators: discriminators.
        real: real samples ``(B, n)``.
        generated: generated samples ``(B, n)``.
    """
    discriminators.requires_grad_(False)  # gradients pass through them to the generator alone
    with torch.no_grad():
        of_real = discriminators(real)
    of_generated = discriminators(generated)
    discriminators.requires_grad_(True)
    return adversarial_loss(of_generated), feature_loss(of_real, of_generated)


def _split_halves(
    outputs: Sequence[DiscriminatorOutput],
) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
    """Split outputs of a batch into those of its first and of its second half."""
    pairs = [
        tuple((score, [one.chunk(2)[half] for one in maps]) for half, score in enumerate(scores.chunk(2)))
        for scores, maps in outputs
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
