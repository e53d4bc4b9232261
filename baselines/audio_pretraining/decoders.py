"""What both domains share: from z and a voice to speech.

z' = z without mean and scale       so that both encoders speak equally loud
x  = Conformer([z'; speaker])       25 Hz; every batch norm knows the domain
mel = linear(x), four frames of 80 bins a video frame
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from baselines.audio_pretraining.config import MelConfig, V2AConfig
from f2v_bench.nn.conformer import Conformer, Norm
from f2v_bench.nn.domain_norm import DomainBatchNorm
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.front import SEEN
from f2v_bench.training.loader import Batch
from f2v_bench.training.mel_losses import mel_losses
from f2v_bench.training.targets import MELS


class Taught(NamedTuple):
    """What a batch teaches a decoder.

    Attributes:
        parts: of the loss by name, and their weighted sum, ``loss``.
        real: samples ``(B, S)`` that critics may hear beside those made; None of a decoder that makes none.
        made: the same pieces as the decoder says them.
    """

    parts: dict[str, torch.Tensor]
    real: torch.Tensor | None = None
    made: torch.Tensor | None = None


class Decoder(nn.Module, ABC):
    """z and a voice to speech.

    Args:
        config: sizes.
        norm: of the Conformer's convolutions.
    """

    def __init__(self, config: V2AConfig, norm: Norm) -> None:
        super().__init__()
        self.conformer = Conformer(SEEN + config.speaker, config.conformer, norm)

    def trunk(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Z ``(B, T, 512)`` and unit vectors ``(B, 256)`` to ``(B, T, C)``."""
        level = functional.layer_norm(z, z.shape[-1:])
        voice = speaker[:, None].expand(-1, mask.shape[1], -1).to(level.dtype)
        x: torch.Tensor = self.conformer(torch.cat([level, voice], dim=2), mask)
        return x

    @abstractmethod
    def taught(self, z: torch.Tensor, batch: Batch) -> Taught:
        """Losses of a batch with ``mask``, ``speaker`` and what it should say."""

    @abstractmethod
    def say(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Speech ``(B, 4 T, C)``, as ``Model.say``."""

    @abstractmethod
    def mels(self, said: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Natural-log mels ``(B, 4 T, 80)`` of what ``say`` made."""


class MelDecoder(Decoder):
    """Says log mels, and is taught their L1 and spectral convergence, as SVTS.

    Args:
        config: sizes.
        standard: mean and deviation of log mels: zero and unit of the last layer.
        norm: of the Conformer's convolutions.
    """

    def __init__(self, config: MelConfig, standard: tuple[float, float], norm: Norm) -> None:
        super().__init__(config, norm)
        self.standard, self.convergence = standard, config.convergence
        self.leave = nn.Linear(config.conformer.width, MELS * N_MELS)

    def say(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mel: torch.Tensor = self.leave(self.trunk(z, speaker, mask)).float().view(len(mask), -1, N_MELS)
        return self.standard[0] + self.standard[1] * mel

    def taught(self, z: torch.Tensor, batch: Batch) -> Taught:
        made = self.say(z, batch["speaker"], batch["mask"])
        parts = mel_losses(made, batch["mel"], batch["mask"])
        return Taught(parts | {"loss": parts["l1"] + self.convergence * parts["convergence"]})

    def mels(self, said: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return said


def build_decoder(config: V2AConfig, standard: tuple[float, float], *, divided: bool) -> Decoder:
    """The decoder of a configuration.

    Args:
        config: of either system.
        standard: mean and deviation of log mels.
        divided: whether its batch norms know two domains; while there is audio alone, plain ones do.
    """
    norm: Norm = partial(DomainBatchNorm, form=config.norms) if divided else nn.BatchNorm1d
    assert isinstance(config, MelConfig)
    return MelDecoder(config, standard, norm)
