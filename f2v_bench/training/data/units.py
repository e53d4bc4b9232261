"""Speech units: clusters of short pieces of sound, which take the place of phonemes without a transcript.

The first iteration of HuBERT (Hsu et al., TASLP 2021): k-means over MFCC with their first and second differences. The
second iteration, clusters of HuBERT's own features, is read from its published weights where they are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 50  # units a second, two a video frame
HOP = SAMPLE_RATE // RATE  # samples
CEPSTRA = 13
_MOST = 300_000  # frames that the clusters are fitted to


class MfccUnits:
    """The nearest of the cluster centres.

    Args:
        centres: float32 ``(count, 39)``.
        scale: float32 ``(39,)``, what features are divided by.
    """

    def __init__(self, centers: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        self.centers = centers
        self.scale = scale

    def label(self, samples: NDArray[np.float32]) -> NDArray[np.int64]:
        """Units of float32 ``(n,)`` at 16 kHz, int64 ``(n // 320,)``."""
        return self.nearest(features(samples))

    def nearest(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """Units of ``features``, ``(U, 39)`` to int64 ``(U,)``."""
        points = points / self.scale
        distance = (self.centers**2).sum(1) - 2 * points @ self.centers.T
        nearest: NDArray[np.int64] = distance.argmin(1)
        return nearest


def features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC, first and second differences without the clip's mean, float32 ``(n // 320, 39)``.

    The mean over a clip holds the voice and the room more than the words.

    Args:
        samples: float32 ``(n,)`` at 16 kHz, at least 320.
    """
    import librosa

    count = len(samples) // HOP
    cepstra = librosa.feature.mfcc(
        y=samples, sr=SAMPLE_RATE, n_mfcc=CEPSTRA, n_fft=400, hop_length=HOP // 2, n_mels=40, center=True
    )
    fine = [cepstra, *(librosa.feature.delta(cepstra, width=5, order=order, mode="nearest") for order in (1, 2))]
    stacked = np.concatenate(fine)  # (39, 100 Hz)
    pairs = stacked[:, : 2 * count].reshape(len(stacked), count, 2).mean(2).T
    return np.asarray(pairs - pairs.mean(0), np.float32)


def fit_units(clips: Sequence[NDArray[np.float32]], config: UnitConfig) -> MfccUnits:
    """Cluster the sound of the training clips.

    Args:
        clips: what ``features`` made of each.
        config: how many clusters, and the seed.

    Raises:
        F2VError: fewer pieces of sound than clusters.
    """
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(config.seed)
    points = np.concatenate(list(clips))
    if len(points) < config.count:
        raise F2VError(f"{len(points)} pieces of sound cannot make {config.count} units", "give more training clips")
    if len(points) > _MOST:
        points = points[rng.choice(len(points), _MOST, replace=False)]
    scale = points.std(0) + 1e-6
    found = KMeans(config.count, n_init=1, max_iter=50, random_state=config.seed).fit(points / scale)
    return MfccUnits(np.asarray(found.cluster_centers_, np.float32), np.asarray(scale, np.float32))
