"""Long sequences in overlapping pieces that are faded into each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def windows(frames: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """First and end frame of pieces that cover a sequence, each of ``size`` frames but for a short sequence.

    Neighbours share at least ``overlap`` frames; the last piece ends with the sequence.

    Raises:
        ValueError: an overlap as long as a piece.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"pieces of {size} frames cannot overlap by {overlap}")
    if frames <= size:
        return [(0, frames)]
    starts = [*range(0, frames - size, size - overlap), frames - size]
    return [(start, start + size) for start in starts]


def cross_fade_windows(
    frames: int, size: int, overlap: int, piece: Callable[[int, int], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A sequence made piece by piece, float32 ``(frames, C)``; where two pieces overlap, one fades into the other.

    Args:
        frames: of the whole.
        size: of a piece, as ``windows``.
        overlap: of neighbours, as ``windows``.
        piece: makes ``(end - first, C)`` of ``(first, end)``.
    """
    total: NDArray[np.float32] | None = None
    weight = np.zeros((frames, 1), np.float32)
    places = windows(frames, size, overlap)
    for at, (first, end) in enumerate(places):
        made = piece(first, end)
        share = np.ones((end - first, 1), np.float32)
        if at:
            shared = places[at - 1][1] - first
            share[:shared, 0] = np.linspace(0, 1, shared + 2)[1:-1]
        if at + 1 < len(places):
            shared = end - places[at + 1][0]
            share[end - first - shared :, 0] *= np.linspace(1, 0, shared + 2)[1:-1]
        if total is None:
            total = np.zeros((frames, made.shape[1]), np.float32)
        total[first:end] += share * made
        weight[first:end] += share
    assert total is not None
    return total / weight
