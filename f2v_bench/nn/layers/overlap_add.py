"""Overlapping windows of long sequences, joined by cross-fades."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def windows(frames: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Return the first and end frame of windows that cover a sequence.

    Neighbors share at least ``overlap`` frames. The last window ends with the sequence.

    Args:
        frames: frames of the sequence.
        size: frames of a window; a shorter sequence is one window.
        overlap: smallest overlap of neighbors in frames.

    Raises:
        ValueError: the overlap is negative, or not shorter than a window.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"the overlap of windows of {size} frames is {overlap}; it must be 0 to {size - 1}")
    if frames <= size:
        return [(0, frames)]
    starts = [*range(0, frames - size, size - overlap), frames - size]
    return [(start, start + size) for start in starts]


def cross_fade_windows(
    frames: int, size: int, overlap: int, compute: Callable[[int, int], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Compute a sequence window by window and cross-fade the overlaps linearly.

    Args:
        frames: frames of the sequence.
        size: frames of a window, as for ``windows``.
        overlap: overlap of neighbors in frames, as for ``windows``.
        compute: function from the first and end frame of a window to its content ``(end - first, C)``.

    Returns:
        float32 ``(frames, C)``.
    """
    total: NDArray[np.float32] | None = None
    weight = np.zeros((frames, 1), np.float32)
    bounds = windows(frames, size, overlap)
    for at, (first, end) in enumerate(bounds):
        window = compute(first, end)
        fade = np.ones((end - first, 1), np.float32)
        if at:
            shared = bounds[at - 1][1] - first
            fade[:shared, 0] = np.linspace(0, 1, shared + 2)[1:-1]
        if at + 1 < len(bounds):
            shared = end - bounds[at + 1][0]
            fade[end - first - shared :, 0] *= np.linspace(1, 0, shared + 2)[1:-1]
        if total is None:
            total = np.zeros((frames, window.shape[1]), np.float32)
        total[first:end] += fade * window
        weight[first:end] += fade
    assert total is not None
    return total / weight
