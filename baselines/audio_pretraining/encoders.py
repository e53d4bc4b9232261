"""From sound, and from lips, to the 512 channels a video frame that one decoder reads."""

from __future__ import annotations

import torch
from torch import nn

from baselines.audio_pretraining.config import BottleneckConfig, V2AConfig
from f2v_bench.errors import F2VError
from f2v_bench.nn.conformer import Conformer
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.augment import spans
from f2v_bench.training.front import SEEN, Front
from f2v_bench.training.loader import Batch
from f2v_bench.training.targets import MELS


class AudioEncoder(nn.Module):
    """Log mels to z, a video frame's four at once.

    Choice, for either system: it hears mels and not samples, because phases are not on the lips, and a decoder that
    learned to copy them could not be told of lips afterwards.

    Args:
        config: sizes.
        standard: mean and deviation of log mels.
    """

    def __init__(self, config: V2AConfig, standard: tuple[float, float]) -> None:
        super().__init__()
        self.standard = standard
        self.conformer = Conformer(MELS * N_MELS, config.listening)
        self.leave = nn.Linear(config.listening.width, SEEN)

    def forward(self, mel: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Natural-log mels ``(B, 4 T, 80)`` with ``mask`` ``(B, T)`` to z ``(B, T, 512)``."""
        mean, deviation = self.standard
        stacked = ((mel - mean) / deviation).reshape(*mask.shape, MELS * N_MELS)
        z: torch.Tensor = self.leave(self.conformer(stacked, mask))
        return z


class Bottleneck(nn.Module):
    """What of z gets through to the decoder.

    Raises:
        F2VError: a ``dim`` that is none, or a ``mask`` that hides everything.
    """

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "dim":
            if not 0 < config.channels < SEEN:
                raise F2VError(f"a bottleneck of {config.channels} channels", f"choose 1 to {SEEN - 1}")
            self.narrow = nn.Linear(SEEN, config.channels)
            self.widen = nn.Linear(config.channels, SEEN)
        elif config.kind == "mask":
            if not 0 < config.hidden < 1 or config.span < 1:
                raise F2VError(
                    f"a bottleneck that hides {config.hidden:g} of the frames, {config.span} in a row",
                    "choose a share between 0 and 1, and 1 frame at least",
                )
            self.hidden = nn.Parameter(0.02 * torch.randn(SEEN))

    def forward(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, 512)`` with ``mask`` ``(B, T)`` to the same shape."""
        if self.config.kind == "dim":
            out: torch.Tensor = self.widen(self.narrow(z))
            return out
        if self.config.kind == "mask" and self.training:
            return torch.where(spans(mask, self.config.hidden, self.config.span)[..., None], self.hidden.to(z), z)
        return z


class Hearing(nn.Module):
    """The first half of an audio autoencoder."""

    def __init__(self, config: V2AConfig, standard: tuple[float, float]) -> None:
        super().__init__()
        self.encoder = AudioEncoder(config, standard)
        self.bottleneck = Bottleneck(config.bottleneck)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Z ``(B, T, 512)`` of ``mel`` ``(B, 4 T, 80)`` with ``mask`` ``(B, T)``."""
        mask = batch["mask"]
        z: torch.Tensor = self.bottleneck(self.encoder(batch["mel"], mask), mask)
        return z


class VideoEncoder(nn.Module):
    """Lips to z: the front end, and where there are blocks of it, a Conformer on top."""

    def __init__(self, config: V2AConfig) -> None:
        super().__init__()
        self.front = Front(config.front, config.lips, config.teaching.augment)
        self.conformer = Conformer(SEEN, config.watching) if config.watching.blocks else None
        self.leave = nn.Linear(config.watching.width, SEEN) if config.watching.blocks else None

    def forward(self, batch: Batch) -> torch.Tensor:
        """Z ``(B, T, 512)`` of a batch as ``Front`` takes it."""
        z: torch.Tensor = self.front(batch)
        if self.conformer is not None and self.leave is not None:
            z = self.leave(self.conformer(z, batch["mask"]))
        return z
