"""Base class of vocoders."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from f2v_bench.nn.vocoders.excitation import Excitation
from f2v_bench.signal.mel import N_MELS


class Vocoder(nn.Module, ABC):
    """Log mel spectrogram to waveform at 16 kHz.

    Attributes:
        context: receptive field, frames on either side of a sample's own frame, the excitation apart.
        inputs: channels of the input: the mel's 80, and further features.
        step: frames; segments of the input start at a multiple of it.
    """

    context: int
    inputs: int = N_MELS
    step: int = 1

    @abstractmethod
    def forward(self, mel: torch.Tensor, excitation: Excitation | None = None) -> torch.Tensor:
        """Convert to float32 samples ``(B, 160 T)`` at 16 kHz.

        Args:
            mel: log mel spectrogram and further features, ``(B, T, inputs)``, natural log: whole clips, or segments
                with ``context`` frames around them.
            excitation: excitation of the same frames, for a source-filter vocoder; None computes it from the mel, which
                must then be of whole clips.
        """

    def excitation(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation | None:
        """Compute the excitation of whole clips, whose phase is continuous from their start.

        Args:
            mel: log mel spectrogram and further features, ``(B, T, inputs)``.
            f0: F0 in Hz, 0 where unvoiced, ``(B, T)``; None estimates it from the mel.

        Returns:
            None for a vocoder without excitation.
        """
        return None

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the vocoder's own losses by name, given the true F0 ``(B, T)`` in Hz."""
        return {}
