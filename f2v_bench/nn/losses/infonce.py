"""InfoNCE between speaker embeddings of a batch, where several clips may be of one person."""

from __future__ import annotations

import torch
from torch.nn import functional


def info_nce(anchor: torch.Tensor, other: torch.Tensor, person: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean of -log(exp(a_i b_i / t) / sum over j of exp(a_i b_j / t)): among all b, each a finds its own.

    van den Oord et al., "Representation learning with contrastive predictive coding" (2018).

    Args:
        anchor: a, unit vectors ``(B, D)``.
        other: b, unit vectors ``(B, D)``.
        person: int64 ``(B,)``, who it is: other clips of the same person are no wrong answers, and are left out.
        temperature: t.
    """
    alike = anchor @ other.T  # (B, B) cosines
    own = torch.arange(len(alike), device=alike.device)
    same = (person[:, None] == person) & (own[:, None] != own)  # (B, B)
    return functional.cross_entropy(alike.masked_fill(same, -torch.inf) / temperature, own)
