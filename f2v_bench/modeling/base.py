"""What every model trained here can do: learn from a batch, and say what it sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn

from f2v_bench.modeling.batch import Batch
from f2v_bench.signal.mel import N_MELS


class Model(nn.Module, ABC):
    """A network from frozen lip features, or pictures, to speech; T video frames."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Every part of the loss by its name, and ``loss``, which is their weighted sum.

        Args:
            batch: of the trainee's items, with ``mask`` ``(B, T)``.
        """

    @abstractmethod
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> torch.Tensor:
        """What it sees, said: ``(B, 4 T, C)``, in numbers that may be faded into each other.

        Log mels ``(B, 4 T, 80)`` come first, and what follows is the model's own; or another form of speech, of which
        ``mels`` makes them.

        Args:
            batch: with ``mask`` ``(B, T)`` and what the model looks at.
            noise: standard normal ``(B, 4 T, 80)``, for models that draw.
            settings: of the sampling.
        """

    def mels(self, said: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Natural-log mels ``(B, 4 T, 80)`` of what ``say`` made, to be compared with real ones.

        Args:
            said: ``(B, 4 T, C)``.
            mask: bool ``(B, T)`` of video frames.
        """
        return said[..., :N_MELS]
