"""The first half of an audio autoencoder: sound to what a decoder of lips can be taught with before there are lips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.nn.layers.augment import mask_spans
from f2v_bench.nn.layers.conformer import Conformer, ConformerConfig
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME


@dataclass(frozen=True, slots=True)
class BottleneckConfig:
    """What keeps an audio autoencoder from learning the identity.

    Attributes:
        kind: ``none``; ``dim``, a linear layer to few channels and one back; or ``mask``, in training, random spans of
            frames replaced by a learned vector. Choice: no source names one.
        channels: of ``dim``.
        hidden: share of the frames that ``mask`` hides.
        span: frames in a row that it hides.
    """

    kind: Literal["none", "dim", "mask"] = "dim"
    channels: int = 32
    hidden: float = 0.3
    span: int = 5


@dataclass(frozen=True, slots=True)
class PretrainingConfig:
    """What the audio autoencoder hears.

    Attributes:
        folder: of audio files, however nested; None is the sound of the training clips.
        decoder: file of a decoder that is pre-trained already, in place of the stage ``audio``.
        shards: that the files of the folder are listed in.
        segment: video frames of a piece that is heard in a step.
    """

    folder: str | None = None
    decoder: str | None = None
    shards: int = 64
    segment: int = 75

    def describe(self, mode: str) -> str:
        """What tables say of a decoder that begins so.

        Args:
            mode: kind of transfer.
        """
        if self.decoder is not None:
            return f"decoder ({mode}) from '{Path(self.decoder).name}'"
        heard = "the same clips" if self.folder is None else f"'{Path(self.folder).name}'"
        return f"decoder ({mode}) pre-trained on the sound of {heard}"


@dataclass(frozen=True, slots=True)
class AudioPretrainingConfig(SharedConfig):
    """Settings of the models whose decoder can be pre-trained on audio alone.

    Attributes:
        bottleneck: constraint on the code of the audio autoencoder.
        pretraining: audio to pre-train on, or a pre-trained decoder.
        audio_stage: steps and optimizer of the pre-training.
    """

    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    audio_stage: StageConfig = field(default_factory=StageConfig)


class AudioEncoder(nn.Module):
    """Log mels to z, a video frame's four at once.

    Choice: it hears mels and not samples, because phases are not on the lips, and a decoder that
    learned to copy them could not be told of lips afterwards.

    Args:
        config: sizes.
        width: channels of z.
        standard: mean and deviation of log mels.
    """

    def __init__(self, config: ConformerConfig, width: int, standard: tuple[float, float]) -> None:
        super().__init__()
        self.standard = standard
        self.conformer = Conformer(MEL_FRAMES_PER_VIDEO_FRAME * N_MELS, config)
        self.out_proj = nn.Linear(config.width, width)

    def forward(self, mel: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Natural-log mels ``(B, 4 T, 80)`` with ``mask`` ``(B, T)`` to z ``(B, T, C)``."""
        mean, deviation = self.standard
        stacked = ((mel - mean) / deviation).reshape(*mask.shape, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)
        z: torch.Tensor = self.out_proj(self.conformer(stacked, mask))
        return z


class Bottleneck(nn.Module):
    """What of z gets through to the decoder.

    Args:
        config: its kind.
        width: channels of z.

    Raises:
        F2VError: a ``dim`` that is none, or a ``mask`` that hides everything.
    """

    def __init__(self, config: BottleneckConfig, width: int) -> None:
        super().__init__()
        self.config = config
        if config.kind == "dim":
            if not 0 < config.channels < width:
                raise F2VError(f"a bottleneck of {config.channels} channels", f"choose 1 to {width - 1}")
            self.narrow = nn.Linear(width, config.channels)
            self.widen = nn.Linear(config.channels, width)
        elif config.kind == "mask":
            if not 0 < config.hidden < 1 or config.span < 1:
                raise F2VError(
                    f"a bottleneck that hides {config.hidden:g} of the frames, {config.span} in a row",
                    "choose a share between 0 and 1, and 1 frame at least",
                )
            self.mask_embedding = nn.Parameter(0.02 * torch.randn(width))

    def forward(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` with ``mask`` ``(B, T)`` to the same shape."""
        if self.config.kind == "dim":
            out: torch.Tensor = self.widen(self.narrow(z))
            return out
        if self.config.kind == "mask" and self.training:
            return torch.where(
                mask_spans(mask, self.config.hidden, self.config.span)[..., None], self.mask_embedding.to(z), z
            )
        return z


class AudioFrontend(nn.Module):
    """The first half of an audio autoencoder.

    Args:
        listening: sizes of the encoder.
        bottleneck: what gets through.
        width: channels of z, which the decoder takes.
        standard: mean and deviation of log mels of what is heard.
    """

    def __init__(
        self, listening: ConformerConfig, bottleneck: BottleneckConfig, width: int, standard: tuple[float, float]
    ) -> None:
        super().__init__()
        self.encoder = AudioEncoder(listening, width, standard)
        self.bottleneck = Bottleneck(bottleneck, width)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Z ``(B, T, C)`` of ``mel`` ``(B, 4 T, 80)`` with ``mask`` ``(B, T)``."""
        mask = batch["mask"]
        z: torch.Tensor = self.bottleneck(self.encoder(batch["mel"], mask), mask)
        return z
