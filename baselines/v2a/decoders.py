"""Decoders that audio and video share: from z and a speaker embedding to speech.

    z' = z without mean and scale          both encoders have the same level
    x  = Conformer([z'; speaker])          25 Hz
    mel = linear(x)                        four frames of 80 bins a video frame
    samples = generator(x)                 or of a linear layer's 80 channels at 100 Hz, for pulses and noise

With two domains, every batch norm of the Conformer has parts for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from baselines.v2a.config import MelConfig, V2AConfig, WaveConfig
from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.visual_frontend import FRONTEND_DIM
from f2v_bench.nn.layers.conformer import Conformer, Norm
from f2v_bench.nn.layers.domain_batchnorm import DomainBatchNorm
from f2v_bench.nn.layers.log_mel import LogMel
from f2v_bench.nn.losses.mel import mel_losses
from f2v_bench.nn.vocoders.build import check
from f2v_bench.nn.vocoders.discriminators import SpectralLoss
from f2v_bench.nn.vocoders.hifigan import HiFiGAN
from f2v_bench.nn.vocoders.istft import ISTFTVocoder
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import FPS, MEL_FRAMES_PER_VIDEO_FRAME, SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f2v_bench.nn.vocoders.base import Vocoder


class WaveOutput(NamedTuple):
    """Predicted samples of a batch, or of one clip without the batch axis.

    Attributes:
        samples: samples of a quarter of a video frame, F / 4 of them, in a row, ``(B, 4 T, F / 4)``.
    """

    samples: torch.Tensor


DecoderOutput = ModelOutput | WaveOutput


def to_waveform(output: WaveOutput, _vocoder: Vocoder | None, _rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the samples ``(F T,)`` of one clip's output; there is no vocoder."""
    samples: NDArray[np.float32] = output.samples.numpy().reshape(-1).clip(-1, 1)
    return samples


class DecoderLoss(NamedTuple):
    """Losses of a batch, and the samples for the discriminators.

    Attributes:
        parts: losses by name, and their weighted sum, ``loss``.
        real: real samples ``(B, S)``; None for a decoder of mels.
        predicted: predicted samples of the same segments.
    """

    parts: dict[str, torch.Tensor]
    real: torch.Tensor | None = None
    predicted: torch.Tensor | None = None


class Decoder(nn.Module, ABC):
    """Decoder from z and a speaker embedding to speech features.

    Args:
        config: settings of the model.
        norm: norm of the Conformer's convolutions.
    """

    def __init__(self, config: V2AConfig, norm: Norm) -> None:
        super().__init__()
        self.conformer = Conformer(FRONTEND_DIM + config.speaker, config.conformer, norm)

    def trunk(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Run the Conformer on z ``(B, T, 512)`` and speaker embeddings ``(B, 256)``; the output is ``(B, T, C)``."""
        normed = functional.layer_norm(z, z.shape[-1:])
        speaker = speaker[:, None].expand(-1, mask.shape[1], -1).to(normed.dtype)
        x: torch.Tensor = self.conformer(torch.cat([normed, speaker], dim=2), mask)
        return x

    @abstractmethod
    def compute_loss(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        """Compute the losses of a batch with ``mask``, ``speaker`` and the decoder's targets."""

    @abstractmethod
    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> DecoderOutput:
        """Predict speech features ``(B, 4 T, ...)``, as ``Model.synthesize``."""

    @abstractmethod
    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        """Return natural-log mels ``(B, 4 T, 80)`` of an output, as ``Model.to_mel``."""


class MelDecoder(Decoder):
    """Decoder of log mels, trained with their L1 and spectral convergence as SVTS.

    Args:
        config: settings of the model.
        mel_stats: mean and deviation of log mels, which scale the last layer.
        norm: norm of the Conformer's convolutions.
    """

    def __init__(self, config: MelConfig, mel_stats: tuple[float, float], norm: Norm) -> None:
        super().__init__(config, norm)
        self.mel_stats, self.convergence = mel_stats, config.convergence
        self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)

    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> ModelOutput:
        mel: torch.Tensor = self.out_proj(self.trunk(z, speaker, mask)).float().view(len(mask), -1, N_MELS)
        return ModelOutput(self.mel_stats[0] + self.mel_stats[1] * mel)

    def compute_loss(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        mel = self.synthesize(z, batch["speaker"], batch["mask"]).mel
        parts = mel_losses(mel, batch["mel"], batch["mask"])
        return DecoderLoss(parts | {"loss": parts["l1"] + self.convergence * parts["convergence"]})

    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        assert isinstance(output, ModelOutput)
        return output.mel


class WaveDecoder(Decoder):
    """Decoder of samples, trained on segments with L1 of log mels, spectral losses and, for ``istft``, F0.

    The generator runs on one clip at a time, so that no padding follows a clip's end.

    Args:
        config: settings of the model.
        mel_stats: mean and deviation of log mels, which scale the mel input of ``istft``.
        norm: norm of the Conformer's convolutions.

    Raises:
        ValueError: a generator that does not make the samples of a video frame.
    """

    def __init__(self, config: WaveConfig, mel_stats: tuple[float, float], norm: Norm) -> None:
        super().__init__(config, norm)
        vocoder = config.vocoder
        self.config, self.mel_stats = config, mel_stats
        self.frame_samples = config.sample_rate // FPS  # per video frame
        check(vocoder, self.frame_samples)
        if vocoder.generator == "istft":
            if config.sample_rate != SAMPLE_RATE:
                raise ValueError(f"an 'istft' generator makes {SAMPLE_RATE} Hz, not {config.sample_rate}; use hifigan")
            self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)
            self.filter = ISTFTVocoder(vocoder)
        else:
            self.generator = HiFiGAN(vocoder, inputs=config.conformer.width)
        self.log_mel = LogMel()
        self.spectral = SpectralLoss(vocoder.spectral_sizes)

    def generate(self, x: torch.Tensor) -> torch.Tensor:
        """Generate samples ``(B, F T)`` from ``(B, T, C)``, F samples per video frame."""
        samples: torch.Tensor = (
            self.filter(self.hidden_mel(x)) if self.config.vocoder.generator == "istft" else self.generator(x)
        )
        return samples.float()

    def hidden_mel(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mel input of ``istft``, ``(B, 4 T, 80)``."""
        mel: torch.Tensor = self.out_proj(x).float().view(len(x), -1, N_MELS)
        return self.mel_stats[0] + self.mel_stats[1] * mel

    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> WaveOutput:
        x = self.trunk(z, speaker, mask)
        out = x.new_zeros(len(x), self.frame_samples * mask.shape[1], dtype=torch.float32)
        for row, one, frames in zip(out, x, mask.sum(1).tolist(), strict=True):
            row[: self.frame_samples * frames] = self.generate(one[None, :frames])[0]
        return WaveOutput(out.view(len(x), -1, self.frame_samples // MEL_FRAMES_PER_VIDEO_FRAME))

    def compute_loss(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        """Compute the losses of a batch with ``audio`` ``(B, F T)`` and, for ``istft``, ``f0`` ``(B, 4 T)`` in Hz."""
        vocoder, mask = self.config.vocoder, batch["mask"]
        x = self.trunk(z, batch["speaker"], mask)
        lengths = mask.sum(1)
        frames = min(vocoder.segment // self.frame_samples, int(lengths.min()))
        starts = (torch.rand(len(x), device=x.device) * (lengths - frames + 1)).long()
        x = slice_segments(x, starts, frames)
        real = slice_segments(batch["audio"], starts * self.frame_samples, frames * self.frame_samples)
        parts: dict[str, torch.Tensor] = {}
        if vocoder.generator == "istft":
            rate = MEL_FRAMES_PER_VIDEO_FRAME
            mel, f0 = self.hidden_mel(x), slice_segments(batch["f0"], starts * rate, frames * rate)
            samples = self.filter(mel, self.filter.excitation(mel, f0)).float()
            parts = self.filter.losses(mel, f0)
        else:
            samples = self.generate(x)
        total = sum(parts.values(), torch.zeros((), device=x.device)) * vocoder.pitch_weight
        parts["mel_l1"] = functional.l1_loss(self._log_mel(samples), self._log_mel(real))
        parts["spectral"] = self.spectral(samples, real)
        total = total + vocoder.mel_weight * parts["mel_l1"] + vocoder.spectral_weight * parts["spectral"]
        return DecoderLoss(parts | {"loss": total}, real, samples)

    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        assert isinstance(output, WaveOutput)
        samples = output.samples
        out = samples.new_zeros(len(samples), samples.shape[1], N_MELS)
        for row, one, frames in zip(out, samples, mask.sum(1).tolist(), strict=True):
            row[: MEL_FRAMES_PER_VIDEO_FRAME * frames] = self._log_mel(
                one[: MEL_FRAMES_PER_VIDEO_FRAME * frames].reshape(1, -1)
            )[0]
        return out

    def _log_mel(self, samples: torch.Tensor) -> torch.Tensor:
        """Return log mels ``(B, n, 80)`` of samples at the decoder's rate."""
        if self.config.sample_rate != SAMPLE_RATE:
            from torchaudio.functional import resample  # type: ignore[import-untyped]

            samples = resample(samples, self.config.sample_rate, SAMPLE_RATE)
        mel: torch.Tensor = self.log_mel(samples)
        return mel


def slice_segments(x: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
    """Return a segment of each row, ``(B, length, ...)`` of ``(B, n, ...)``."""
    indices = starts[:, None] + torch.arange(length, device=x.device)
    return x[torch.arange(len(x), device=x.device)[:, None], indices]


def build_decoder(config: V2AConfig, mel_stats: tuple[float, float], *, two_domains: bool) -> Decoder:
    """Build the decoder of a configuration.

    Args:
        config: settings of either system.
        mel_stats: mean and deviation of log mels.
        two_domains: True for batch norms with an audio and a video domain; plain ones are enough for audio alone.
    """
    norm: Norm = partial(DomainBatchNorm, form=config.domain_norm) if two_domains else nn.BatchNorm1d
    if isinstance(config, WaveConfig):
        return WaveDecoder(config, mel_stats, norm)
    assert isinstance(config, MelConfig)
    return MelDecoder(config, mel_stats, norm)
