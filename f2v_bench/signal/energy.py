"""Loudness over time: log energy at the mel's frame rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2v_bench.signal.mel import magnitude

FLOOR = 1e-5  # of the frame's norm


def energy_contour(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Natural log of the L2 norm of each frame's magnitudes (the energy of FastSpeech 2), float32 ``(n // 160,)``.

    Raises:
        ValueError: a sample rate other than 16,000.
    """
    norm = np.linalg.norm(magnitude(samples, sample_rate), axis=1)
    return np.asarray(np.log(np.maximum(norm, FLOOR)), np.float32)
