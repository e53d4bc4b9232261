"""Two models with one decoder: an audio autoencoder, and the model from lips to speech.

    audio: z = bottleneck(AudioEncoder(mel))     pre-training, without labels
    video: z = VideoEncoder(lips)                the system
    speech = Decoder([z; speaker])               transferred from the first to the second

Weight files hold the second alone.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from baselines.v2a.config import V2AConfig
from baselines.v2a.decoders import Decoder, DecoderLoss, DecoderOutput, build_decoder
from baselines.v2a.encoders import VideoEncoder
from f2v_bench.modeling.audio_encoder import AudioFrontend
from f2v_bench.modeling.base import Model
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.visual_frontend import FRONTEND_DIM
from f2v_bench.nn.layers.domain_batchnorm import domain_norms, use_domain
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from f2v_bench.training.data.audio_dataset import AUDIO_PREFIX


class EncoderDecoder(Model[DecoderOutput]):
    """Encoder and decoder."""

    decoder: Decoder

    @abstractmethod
    def encode(self, batch: Batch) -> torch.Tensor:
        """Return z ``(B, T, 512)``."""

    def compute_loss(self, batch: Batch) -> DecoderLoss:
        """Compute the losses of a batch with ``mask``, ``speaker`` and the decoder's targets."""
        return self.decoder.compute_loss(self.encode(batch), batch)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        return self.compute_loss(batch).parts

    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> DecoderOutput:
        speaker = batch["voice"] if "voice" in batch else batch["speaker"]
        return self.decoder.synthesize(self.encode(batch), speaker, batch["mask"])

    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        return self.decoder.to_mel(output, mask)


class Autoencoder(EncoderDecoder):
    """Audio autoencoder.

    Args:
        config: settings of either system.
        mel_stats: mean and deviation of log mels of the audio.
    """

    def __init__(self, config: V2AConfig, mel_stats: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.audio_frontend = build_audio_frontend(config, mel_stats)
        self.decoder = build_decoder(config, mel_stats, two_domains=False)

    def encode(self, batch: Batch) -> torch.Tensor:
        z: torch.Tensor = self.audio_frontend(batch)
        return z


class V2A(EncoderDecoder):
    """Lips and speaker embedding to speech.

    Args:
        config: settings of either system.
        mel_stats: mean and deviation of log mels that the decoder was first trained on.
        joint: True to train the audio autoencoder jointly.
    """

    def __init__(self, config: V2AConfig, mel_stats: tuple[float, float] = (0.0, 1.0), *, joint: bool = False) -> None:
        super().__init__()
        self.config, self.mel_stats = config, mel_stats
        self.encoder = VideoEncoder(config)
        self.decoder = build_decoder(config, mel_stats, two_domains=True)
        self.audio_frontend = build_audio_frontend(config, mel_stats) if joint else None
        if not joint:
            freeze(self.decoder, config.transfer.mode == "init+frozen")

    def encode(self, batch: Batch) -> torch.Tensor:
        z: torch.Tensor = self.encoder(batch)
        return z

    def compute_loss(self, batch: Batch) -> DecoderLoss:
        transfer = self.config.transfer
        if self.training and transfer.mode == "frozen-then-unfrozen":
            freeze(self.decoder, int(batch["step"]) < transfer.unfreeze_at)
        video = super().compute_loss(batch)
        audio = {name.removeprefix(AUDIO_PREFIX): one for name, one in batch.items() if name.startswith(AUDIO_PREFIX)}
        if self.audio_frontend is None or not audio:
            return video
        audio["mask"] = valid_mask(audio.pop("frames"), audio["mel"].shape[1] // MEL_FRAMES_PER_VIDEO_FRAME)
        with use_domain(self.decoder, "audio"):
            parts = self.decoder.compute_loss(self.audio_frontend(audio), audio).parts
        audio_parts = {f"audio_{name}": part for name, part in parts.items()}
        total = video.parts["loss"] + transfer.audio_weight * parts["loss"]
        return video._replace(parts=video.parts | audio_parts | {"loss": total})


def build_audio_frontend(config: V2AConfig, mel_stats: tuple[float, float]) -> AudioFrontend:
    """Build audio encoder and bottleneck of either system."""
    return AudioFrontend(config.audio_encoder, config.bottleneck, FRONTEND_DIM, mel_stats)


def freeze(decoder: Decoder, frozen: bool) -> None:
    """Freeze a decoder that is trained on lips alone, or unfreeze it.

    The video parts of its batch norms stay trainable, and their audio parts never are.
    """
    decoder.requires_grad_(not frozen)
    for norm in domain_norms(decoder):
        norm.frozen_stats = frozen
        if norm.form == "separate-stats+affine":
            norm.norms["video"].requires_grad_(True)
            norm.norms["audio"].requires_grad_(False)
