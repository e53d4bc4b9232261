"""Log energy contour at the frame rate of the mel spectrogram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from f2v_bench.signal.mel import magnitude

FLOOR = 1e-5  # smallest norm of a frame


def energy_contour(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute the log L2 norm of each frame's magnitudes (the energy of FastSpeech 2), float32 ``(n // 160,)``.

    Raises:
        ValueError: a sample rate other than 16,000.
    """
    norm = np.linalg.norm(magnitude(samples, sample_rate), axis=1)
    return np.asarray(np.log(np.maximum(norm, FLOOR)), np.float32)
