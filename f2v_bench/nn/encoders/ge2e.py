"""GE2E speaker encoder of Resemblyzer: three LSTM layers over 1.6 s of mel spectrogram.

Wan et al., "Generalized end-to-end loss for speaker verification" (ICASSP 2018), as trained and used by Resemblyzer:
a clip is split into overlapping segments of 1.6 s, and the mean of their embeddings is normalized.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_MELS = 40
N_FFT = 400  # 25 ms
HOP_LENGTH = 160  # 10 ms
SEGMENT = 160  # frames, 1.6 s
SEGMENTS_PER_S = 1.3
MIN_COVERAGE = 0.75  # smallest fraction of the last segment inside the clip
TARGET_DBFS = -30.0
BATCH_SIZE = 256  # segments
_TRAINING_ONLY = ("similarity_weight", "similarity_bias")  # of the loss


class GE2E(nn.Module):
    """Mel spectrogram segments ``(B, 160, 40)`` to unit vectors ``(B, 256)`` without negative values."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        return functional.normalize(functional.relu(self.linear(hidden[-1])), dim=1)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed clips at 16 kHz, float32 ``(n,)``, none of them silent, as unit vectors ``(clips, 256)``."""
        split = [mel_segments(clip) for clip in clips]
        segments = torch.from_numpy(np.concatenate(split))
        device = self.linear.weight.device
        vectors = torch.cat([self(part.to(device)).cpu() for part in torch.split(segments, BATCH_SIZE)])
        ends = [0, *accumulate(len(part) for part in split)]
        means = torch.stack([vectors[first:last].mean(0) for first, last in pairwise(ends)])
        embeddings: NDArray[np.float32] = functional.normalize(means, dim=1).numpy()
        return embeddings


def mel_segments(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Split the mel spectrogram (power, no logarithm) of a clip into segments, float32 ``(segments, 160, 40)``.

    Args:
        samples: float32 ``(n,)`` at 16 kHz; quiet clips are amplified to -30 dBFS.
    """
    import librosa

    starts = segment_starts(len(samples))
    length = max(len(samples), (starts[-1] + SEGMENT) * HOP_LENGTH)
    wave = np.pad(normalize_loudness(samples), (0, length - len(samples)))
    mel = librosa.feature.melspectrogram(y=wave, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS)
    return np.stack([mel.T[start : start + SEGMENT] for start in starts]).astype(np.float32)


def segment_starts(samples: int) -> list[int]:
    """Return the first frames of a clip's segments.

    The last segment extends beyond the clip by at most a quarter of its length, or by more where it is the only one.

    Args:
        samples: samples of the clip at 16 kHz.
    """
    frames = -(-(samples + 1) // HOP_LENGTH)
    step = round(SAMPLE_RATE / SEGMENTS_PER_S / HOP_LENGTH)
    starts = list(range(0, max(1, frames - SEGMENT + step + 1), step))
    covered = (samples / HOP_LENGTH - starts[-1]) / SEGMENT
    return starts[:-1] if covered < MIN_COVERAGE and len(starts) > 1 else starts


def normalize_loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplify a quiet clip to an RMS of -30 dBFS; a louder one stays unchanged."""
    level = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))
    gain = 10 ** ((TARGET_DBFS - level) / 20)
    return (samples * gain).astype(np.float32) if gain > 1 else samples


def load_ge2e(path: Path, instructions: str, device: str = "cpu") -> GE2E:
    """Load the encoder with Resemblyzer's weights.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    state = read_checkpoint(path, instructions).get("model_state")
    if not isinstance(state, dict):
        raise F2VError(f"'{path}' is no checkpoint of Resemblyzer: no weights under 'model_state'", instructions)
    encoder = GE2E()
    load_weights(encoder, {n: t for n, t in state.items() if n not in _TRAINING_ONLY}, path, instructions)
    return encoder.to(device)
