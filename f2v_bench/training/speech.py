"""One clip's mel and melody, and the samples that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from f2v_bench.nn.vocoder import vocode
from f2v_bench.signal.griffin_lim import griffin_lim
from f2v_bench.signal.mel import N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.generator import Generator


class Speech(NamedTuple):
    """What a model says of one clip.

    Attributes:
        mel: natural log, float32 ``(4 T, 80)``.
        melody: log F0 in Hz and the probability of voicing, float32 ``(4 T, 2)``; None of a model without.
    """

    mel: NDArray[np.float32]
    melody: NDArray[np.float32] | None = None

    @property
    def f0(self) -> NDArray[np.float32] | None:
        """Hz, 0 where unvoiced, float32 ``(4 T,)``."""
        if self.melody is None:
            return None
        return np.exp(self.melody[:, 0]) * (self.melody[:, 1] > 0.5)


def speech_of(said: NDArray[np.float32]) -> Speech:
    """Log mels ``(4 T, 80)`` of what a model said, and its melody where there are two channels more."""
    return Speech(said[:, :N_MELS], said[:, N_MELS:] if said.shape[1] > N_MELS else None)


def sound(speech: Speech, vocoder: Generator | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Samples ``(640 T,)`` by the vocoder, in the melody where there is one, or by Griffin-Lim from drawn phases."""
    made = vocode(vocoder, speech.mel, speech.f0) if vocoder is not None else griffin_lim(speech.mel, rng)
    return made.clip(-1, 1)
