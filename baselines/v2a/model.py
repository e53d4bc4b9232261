"""The two models that share a decoder: an audio autoencoder, and the one that sees lips.

    audio: z = bottleneck(AudioEncoder(mel))     pre-training, without labels
    video: z = VideoEncoder(lips)                the system
    speech = Decoder([z; speaker])               handed over from the first to the second

Only what sees lips ships.
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
    """An encoder and a decoder."""

    decoder: Decoder

    @abstractmethod
    def encoded(self, batch: Batch) -> torch.Tensor:
        """Z ``(B, T, 512)``."""

    def taught(self, batch: Batch) -> DecoderLoss:
        """What a batch teaches, with ``mask``, ``speaker`` and what the decoder should say."""
        return self.decoder.taught(self.encoded(batch), batch)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        return self.taught(batch).parts

    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> DecoderOutput:
        voice = batch["voice"] if "voice" in batch else batch["speaker"]
        return self.decoder.synthesize(self.encoded(batch), voice, batch["mask"])

    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        return self.decoder.to_mel(output, mask)


class Autoencoder(EncoderDecoder):
    """Sound to itself.

    Args:
        config: of either system.
        standard: mean and deviation of log mels of what is heard.
    """

    def __init__(self, config: V2AConfig, standard: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.audio_frontend = build_audio_frontend(config, standard)
        self.decoder = build_decoder(config, standard, divided=False)

    def encoded(self, batch: Batch) -> torch.Tensor:
        z: torch.Tensor = self.audio_frontend(batch)
        return z


class V2A(EncoderDecoder):
    """Lips and a voice to speech.

    Args:
        config: of either system.
        standard: mean and deviation of log mels of what the decoder has heard first.
        hears: whether the autoencoder goes on learning beside it.
    """

    def __init__(self, config: V2AConfig, standard: tuple[float, float] = (0.0, 1.0), *, hears: bool = False) -> None:
        super().__init__()
        self.config, self.standard = config, standard
        self.encoder = VideoEncoder(config)
        self.decoder = build_decoder(config, standard, divided=True)
        self.audio_frontend = build_audio_frontend(config, standard) if hears else None
        if not hears:
            freeze(self.decoder, config.transfer.mode == "init+frozen")

    def encoded(self, batch: Batch) -> torch.Tensor:
        z: torch.Tensor = self.encoder(batch)
        return z

    def taught(self, batch: Batch) -> DecoderLoss:
        transfer = self.config.transfer
        if self.training and transfer.mode == "frozen-then-unfrozen":
            freeze(self.decoder, int(batch["step"]) < transfer.unfreeze_at)
        seen = super().taught(batch)
        heard = {name.removeprefix(AUDIO_PREFIX): one for name, one in batch.items() if name.startswith(AUDIO_PREFIX)}
        if self.audio_frontend is None or not heard:
            return seen
        heard["mask"] = valid_mask(heard.pop("frames"), heard["mel"].shape[1] // MEL_FRAMES_PER_VIDEO_FRAME)
        with use_domain(self.decoder, "audio"):
            parts = self.decoder.taught(self.audio_frontend(heard), heard).parts
        both = {f"audio_{name}": part for name, part in parts.items()}
        total = seen.parts["loss"] + transfer.audio_weight * parts["loss"]
        return seen._replace(parts=seen.parts | both | {"loss": total})


def build_audio_frontend(config: V2AConfig, standard: tuple[float, float]) -> AudioFrontend:
    """Audio encoder and bottleneck of either system."""
    return AudioFrontend(config.audio_encoder, config.bottleneck, FRONTEND_DIM, standard)


def freeze(decoder: Decoder, frozen: bool) -> None:
    """Stop training a decoder that is told of lips alone, or begin to.

    What its batch norms have for video goes on learning, and what they have for audio does not learn of lips.
    """
    decoder.requires_grad_(not frozen)
    for norm in domain_norms(decoder):
        norm.frozen_stats = frozen
        if norm.form == "separate-stats+affine":
            norm.norms["video"].requires_grad_(True)
            norm.norms["audio"].requires_grad_(False)
