"""InfoNCE loss of speaker embeddings, for batches with several clips of one speaker."""

from __future__ import annotations

import torch
from torch.nn import functional


def info_nce(anchor: torch.Tensor, other: torch.Tensor, speaker: torch.Tensor, temperature: float) -> torch.Tensor:
    """Compute the mean of -log(exp(a_i b_i / t) / sum over j of exp(a_i b_j / t)).

    van den Oord et al., "Representation learning with contrastive predictive coding" (2018).

    Args:
        anchor: a, unit vectors ``(B, D)``.
        other: b, unit vectors ``(B, D)``.
        speaker: speaker indices, int64 ``(B,)``; other clips of the same speaker are no negatives and are left out.
        temperature: t.
    """
    similarity = anchor @ other.T  # (B, B) cosines
    own = torch.arange(len(similarity), device=similarity.device)
    same = (speaker[:, None] == speaker) & (own[:, None] != own)  # (B, B)
    return functional.cross_entropy(similarity.masked_fill(same, -torch.inf) / temperature, own)
