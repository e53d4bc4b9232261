"""Speech units: clusters of short audio frames, which replace phonemes where there is no transcript.

First iteration of HuBERT (Hsu et al., TASLP 2021): k-means over MFCC with their first and second differences. Clusters
of HuBERT's own features, the second iteration, come from its published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.timing import FPS, SAMPLE_RATE, UNITS_PER_VIDEO_FRAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = FPS * UNITS_PER_VIDEO_FRAME  # Hz, 50
HOP = SAMPLE_RATE // RATE  # samples
CEPSTRA = 13
_MAX_FRAMES = 300_000  # frames that the clusters are fitted to


class MfccUnits:
    """Units by the nearest cluster center.

    Args:
        centers: cluster centers, float32 ``(count, 39)``.
        scale: divisors of the features, float32 ``(39,)``.
    """

    def __init__(self, centers: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        self.centers = centers
        self.scale = scale

    def label(self, samples: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label audio, float32 ``(n,)`` at 16 kHz, with units, int64 ``(n // 320,)``."""
        return self.nearest(mfcc_features(samples))

    def nearest(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label MFCC features, ``(U, 39)``, with units, int64 ``(U,)``."""
        points = points / self.scale
        distance = (self.centers**2).sum(1) - 2 * points @ self.centers.T
        nearest: NDArray[np.int64] = distance.argmin(1)
        return nearest


def mfcc_features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute MFCC with first and second differences, minus their mean over the clip.

    The mean over a clip depends on speaker and room more than on the words.

    Args:
        samples: audio, float32 ``(n,)`` at 16 kHz, at least 320 samples.

    Returns:
        Features at 50 Hz, float32 ``(n // 320, 39)``.
    """
    import librosa

    count = len(samples) // HOP
    cepstra = librosa.feature.mfcc(
        y=samples, sr=SAMPLE_RATE, n_mfcc=CEPSTRA, n_fft=400, hop_length=HOP // 2, n_mels=40, center=True
    )
    parts = [cepstra, *(librosa.feature.delta(cepstra, width=5, order=order, mode="nearest") for order in (1, 2))]
    stacked = np.concatenate(parts)  # (39, 100 Hz)
    pairs = stacked[:, : 2 * count].reshape(len(stacked), count, 2).mean(2).T
    return np.asarray(pairs - pairs.mean(0), np.float32)


def fit_units(clips: Sequence[NDArray[np.float32]], config: UnitConfig) -> MfccUnits:
    """Fit the clusters to training clips.

    Args:
        clips: MFCC features of each clip.
        config: number of clusters, and the seed.

    Raises:
        F2VError: fewer frames than clusters.
    """
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(config.seed)
    points = np.concatenate(list(clips))
    if len(points) < config.count:
        raise F2VError(f"{len(points)} audio frames cannot make {config.count} units", "give more training clips")
    if len(points) > _MAX_FRAMES:
        points = points[rng.choice(len(points), _MAX_FRAMES, replace=False)]
    scale = points.std(0) + 1e-6
    fitted = KMeans(config.count, n_init=1, max_iter=50, random_state=config.seed).fit(points / scale)
    return MfccUnits(np.asarray(fitted.cluster_centers_, np.float32), np.asarray(scale, np.float32))
