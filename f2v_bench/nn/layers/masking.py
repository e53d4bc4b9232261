"""Padding, masks and batches of sequences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def length_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices into batches whose padded size stays within a budget, the longest sequences first.

    Args:
        lengths: length of each sequence.
        budget: largest ``count * longest`` of a batch; a longer sequence forms a batch of its own.
    """
    groups: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        if not groups or room < lengths[groups[-1][0]]:
            groups.append([])
            room = budget
        groups[-1].append(index)
        room -= lengths[groups[-1][0]]
    return groups


def pad_sequences(arrays: Sequence[NDArray[np.float32]], device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Pad arrays ``(n_i, ...)`` with zeros to ``(B, max n, ...)``; return also their lengths, int64 ``(B,)``."""
    lengths = torch.tensor([len(array) for array in arrays])
    batch = torch.zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]))
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = torch.from_numpy(array)
    return batch.to(device), lengths.to(device)


def valid_mask(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """Return bool ``(B, longest)``, True where a frame belongs to its sequence."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def scatter_frames(vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Scatter vectors of the real frames, ``(N, C)``, to ``(B, T, C)``; zero where ``mask`` is False."""
    out = vectors.new_zeros(*mask.shape, vectors.shape[1])
    out[mask] = vectors
    return out
