"""What every vocoder's network promises, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from f2v_bench.nn.vocoders.excitation import Excitation
from f2v_bench.signal.mel import N_MELS


class Vocoder(nn.Module, ABC):
    """Mel to samples.

    Attributes:
        context: frames on either side of its own that a sample depends on at most, the source apart.
        inputs: channels that it takes: the mel's 80, and what it is told beside them.
        step: pieces of what it takes begin at a multiple of so many frames.
    """

    context: int
    inputs: int = N_MELS
    step: int = 1

    @abstractmethod
    def forward(self, mel: torch.Tensor, source: Excitation | None = None) -> torch.Tensor:
        """Natural-log mel, ``(B, T, inputs)`` with what stands beside it, to float32 ``(B, 160 T)`` at 16 kHz.

        Args:
            mel: of whole clips, or of pieces with ``context`` frames around them.
            source: of the same frames, for a generator that filters one; None makes it of the mel, which must then be
                whole.
        """

    def source(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation | None:
        """What the generator filters, of whole clips, since a voice's phase runs on from their beginning.

        Args:
            mel: ``(B, T, inputs)``.
            f0: Hz, 0 where unvoiced, ``(B, T)``; None estimates it from the mel.

        Returns:
            None for a generator without a source.
        """
        return None

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        """What training adds to the spectral losses, by name, given the true F0 ``(B, T)`` in Hz."""
        return {}
