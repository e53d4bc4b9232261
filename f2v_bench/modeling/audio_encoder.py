"""Audio encoder used to pre-train a lip-to-speech decoder on audio alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

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
    """Constraint that keeps an audio autoencoder from learning the identity.

    Attributes:
        kind: ``none``; ``dim``, a linear layer to few channels and one back; or ``mask``, in training, random spans of
            frames replaced by a learned vector. Choice: no source names one.
        channels: channels of ``dim``.
        mask_prob: share of the frames that ``mask`` replaces.
        mask_length: frames of a span of ``mask``.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"hidden": "mask_prob", "span": "mask_length"}

    kind: Literal["none", "dim", "mask"] = "dim"
    channels: int = 32
    mask_prob: float = 0.3
    mask_length: int = 5


@dataclass(frozen=True, slots=True)
class PretrainingConfig:
    """Audio for the pre-training, or a pre-trained decoder.

    Attributes:
        folder: folder of audio files, however nested; None takes the audio of the training clips.
        decoder: file of a pre-trained decoder, which replaces the stage ``audio``.
        shards: number of shards that list the folder's files.
        segment: video frames of a training segment.
    """

    folder: str | None = None
    decoder: str | None = None
    shards: int = 64
    segment: int = 75

    def describe(self, mode: str) -> str:
        """Return the decoder's origin in words, for tables.

        Args:
            mode: kind of transfer from the pre-trained decoder.
        """
        if self.decoder is not None:
            return f"decoder ({mode}) from '{Path(self.decoder).name}'"
        source = "the same clips" if self.folder is None else f"'{Path(self.folder).name}'"
        return f"decoder ({mode}) pre-trained on the sound of {source}"


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
    """Encoder from log mels to z, four mel frames per video frame.

    Choice: its input is mels and not samples. Phases are not on the lips, and a decoder that copies them could not be
    trained on lips afterwards.

    Args:
        config: sizes of the Conformer.
        width: channels of z.
        mel_stats: mean and deviation of log mels.
    """

    def __init__(self, config: ConformerConfig, width: int, mel_stats: tuple[float, float]) -> None:
        super().__init__()
        self.mel_stats = mel_stats
        self.conformer = Conformer(MEL_FRAMES_PER_VIDEO_FRAME * N_MELS, config)
        self.out_proj = nn.Linear(config.width, width)

    def forward(self, mel: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode natural-log mels ``(B, 4 T, 80)`` with ``mask`` ``(B, T)`` as z ``(B, T, C)``."""
        mean, deviation = self.mel_stats
        stacked = ((mel - mean) / deviation).reshape(*mask.shape, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)
        z: torch.Tensor = self.out_proj(self.conformer(stacked, mask))
        return z


class Bottleneck(nn.Module):
    """Bottleneck between audio encoder and decoder.

    Args:
        config: kind and sizes.
        width: channels of z.

    Raises:
        F2VError: a ``dim`` without an effect, or a ``mask`` of all frames.
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
            if not 0 < config.mask_prob < 1 or config.mask_length < 1:
                raise F2VError(
                    f"a bottleneck that masks {config.mask_prob:g} of the frames, {config.mask_length} in a row",
                    "choose a share between 0 and 1, and 1 frame at least",
                )
            self.mask_embedding = nn.Parameter(0.02 * torch.randn(width))

    def forward(self, z: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Constrain z ``(B, T, C)`` with ``mask`` ``(B, T)``; the shape stays."""
        if self.config.kind == "dim":
            out: torch.Tensor = self.widen(self.narrow(z))
            return out
        if self.config.kind == "mask" and self.training:
            masked = mask_spans(mask, self.config.mask_prob, self.config.mask_length)
            return torch.where(masked[..., None], self.mask_embedding.to(z), z)
        return z


class AudioFrontend(nn.Module):
    """Audio encoder and bottleneck of an audio autoencoder.

    Args:
        encoder: sizes of the encoder.
        bottleneck: kind and sizes of the bottleneck.
        width: channels of z, the decoder's input.
        mel_stats: mean and deviation of the log mels of the audio.
    """

    def __init__(
        self, encoder: ConformerConfig, bottleneck: BottleneckConfig, width: int, mel_stats: tuple[float, float]
    ) -> None:
        super().__init__()
        self.encoder = AudioEncoder(encoder, width, mel_stats)
        self.bottleneck = Bottleneck(bottleneck, width)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Encode ``mel`` ``(B, 4 T, 80)`` with ``mask`` ``(B, T)`` as z ``(B, T, C)``."""
        mask = batch["mask"]
        z: torch.Tensor = self.bottleneck(self.encoder(batch["mel"], mask), mask)
        return z
