"""Both sides' losses of one batch: critics that tell made pieces from real ones, and what made them."""

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


def discriminator_step_loss(judges: Discriminators, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The critics' own loss of samples ``(B, n)`` each; what was made learns nothing of it."""
    of_real, of_made = _halves(judges(torch.cat([real, made.detach()])))
    return discriminator_loss(of_real, of_made)


def generator_adversarial_loss(
    judges: Discriminators, real: torch.Tensor, made: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Adversarial loss and feature matching of what was made, ``(B, n)`` each; the critics learn nothing of them."""
    judges.requires_grad_(False)  # gradients pass through them to the generator, and stop there
    with torch.no_grad():
        of_real = judges(real)
    of_made = judges(made)
    judges.requires_grad_(True)
    return adversarial_loss(of_made), feature_loss(of_real, of_made)


def _halves(judgements: Sequence[DiscriminatorOutput]) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
    """Judgements of a batch's first half, and of its second."""
    pairs = [
        tuple((score, [one.chunk(2)[half] for one in maps]) for half, score in enumerate(scores.chunk(2)))
        for scores, maps in judgements
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
