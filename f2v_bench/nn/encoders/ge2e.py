"""The GE2E speaker encoder of Resemblyzer: three LSTM layers over 1.6 s of mel spectrogram.

Wan et al., "Generalized end-to-end loss for speaker verification" (ICASSP 2018), as trained and used by Resemblyzer:
a clip is cut into overlapping pieces of 1.6 s, each is embedded, and the mean of the embeddings is normalised.
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
PIECE = 160  # frames, 1.6 s
PIECES_PER_S = 1.3
MIN_COVERAGE = 0.75  # of a last piece that is kept
TARGET_DBFS = -30.0
PIECES_AT_ONCE = 256
_TRAINING_ONLY = ("similarity_weight", "similarity_bias")  # of the loss


class GE2E(nn.Module):
    """Mel spectrogram pieces ``(B, 160, 40)`` to unit vectors ``(B, 256)`` without negative values."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        return functional.normalize(functional.relu(self.linear(hidden[-1])), dim=1)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Unit vectors ``(clips, 256)`` of clips at 16 kHz, float32 ``(n,)``, none of them silent."""
        cut = [pieces_of(clip) for clip in clips]
        pieces = torch.from_numpy(np.concatenate(cut))
        device = self.linear.weight.device
        vectors = torch.cat([self(part.to(device)).cpu() for part in torch.split(pieces, PIECES_AT_ONCE)])
        ends = [0, *accumulate(len(part) for part in cut)]
        means = torch.stack([vectors[first:last].mean(0) for first, last in pairwise(ends)])
        found: NDArray[np.float32] = functional.normalize(means, dim=1).numpy()
        return found


def pieces_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mel spectrogram (power, no logarithm) of a clip in overlapping pieces, float32 ``(pieces, 160, 40)``.

    Args:
        samples: float32 ``(n,)`` at 16 kHz; quiet ones are brought up to -30 dBFS.
    """
    import librosa

    starts = piece_starts(len(samples))
    length = max(len(samples), (starts[-1] + PIECE) * HOP_LENGTH)
    wave = np.pad(normalize_loudness(samples), (0, length - len(samples)))
    mel = librosa.feature.melspectrogram(y=wave, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS)
    return np.stack([mel.T[start : start + PIECE] for start in starts]).astype(np.float32)


def piece_starts(samples: int) -> list[int]:
    """First frames of a clip's pieces; the last may reach a quarter beyond the clip, further where it is alone."""
    frames = -(-(samples + 1) // HOP_LENGTH)
    step = round(SAMPLE_RATE / PIECES_PER_S / HOP_LENGTH)
    starts = list(range(0, max(1, frames - PIECE + step + 1), step))
    covered = (samples / HOP_LENGTH - starts[-1]) / PIECE
    return starts[:-1] if covered < MIN_COVERAGE and len(starts) > 1 else starts


def normalize_loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A quiet clip brought up to an RMS of -30 dBFS; a louder one as it is."""
    level = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))
    gain = 10 ** ((TARGET_DBFS - level) / 20)
    return (samples * gain).astype(np.float32) if gain > 1 else samples


def load_ge2e(path: Path, get_again: str, device: str = "cpu") -> GE2E:
    """The encoder with Resemblyzer's weights.

    Raises:
        F2VError: another file, or one that holds more than weights.
    """
    state = read_checkpoint(path, get_again).get("model_state")
    if not isinstance(state, dict):
        raise F2VError(f"'{path}' is no checkpoint of Resemblyzer: it has no 'model_state'", get_again)
    encoder = GE2E()
    load_weights(encoder, {n: t for n, t in state.items() if n not in _TRAINING_ONLY}, path, get_again)
    return encoder.to(device)
