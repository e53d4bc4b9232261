"""What both domains share: from z and a voice to speech.

    z' = z without mean and scale          both encoders speak equally loud
    x  = Conformer([z'; speaker])          25 Hz
    mel = linear(x)                        four frames of 80 bins a video frame
    samples = generator(x)                 or of a linear layer's 80 channels at 100 Hz, for pulses and noise

Where there are two domains, every batch norm of the Conformer knows them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from baselines.v2a.config import MelConfig, V2AConfig, WaveConfig
from f2v_bench.errors import F2VError
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
        self.conformer = Conformer(FRONTEND_DIM + config.speaker, config.conformer, norm)

    def trunk(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Z ``(B, T, 512)`` and unit vectors ``(B, 256)`` to ``(B, T, C)``."""
        level = functional.layer_norm(z, z.shape[-1:])
        voice = speaker[:, None].expand(-1, mask.shape[1], -1).to(level.dtype)
        x: torch.Tensor = self.conformer(torch.cat([level, voice], dim=2), mask)
        return x

    @abstractmethod
    def taught(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        """Losses of a batch with ``mask``, ``speaker`` and what it should say."""

    @abstractmethod
    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> DecoderOutput:
        """Predict speech features ``(B, 4 T, ...)``, as ``Model.synthesize``."""

    @abstractmethod
    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        """Return natural-log mels ``(B, 4 T, 80)`` of an output, as ``Model.to_mel``."""


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
        self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)

    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> ModelOutput:
        mel: torch.Tensor = self.out_proj(self.trunk(z, speaker, mask)).float().view(len(mask), -1, N_MELS)
        return ModelOutput(self.standard[0] + self.standard[1] * mel)

    def taught(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        made = self.synthesize(z, batch["speaker"], batch["mask"]).mel
        parts = mel_losses(made, batch["mel"], batch["mask"])
        return DecoderLoss(parts | {"loss": parts["l1"] + self.convergence * parts["convergence"]})

    def to_mel(self, output: DecoderOutput, mask: torch.Tensor) -> torch.Tensor:
        assert isinstance(output, ModelOutput)
        return output.mel


class WaveDecoder(Decoder):
    """Says samples, and is taught pieces of them: L1 of log mels, spectra, and F0 where its generator needs it.

    A generator looks at one clip at a time, so that beyond a clip's end there is nothing, and not padding.

    Args:
        config: sizes.
        standard: mean and deviation of log mels: zero and unit of what ``istft`` takes for a mel.
        norm: of the Conformer's convolutions.

    Raises:
        F2VError: a generator that does not make the samples of a video frame.
    """

    def __init__(self, config: WaveConfig, standard: tuple[float, float], norm: Norm) -> None:
        super().__init__(config, norm)
        sound = config.vocoder
        self.config, self.standard = config, standard
        self.frame = config.sample_rate // FPS  # samples of a video frame
        check(sound, self.frame)
        if sound.generator == "istft":
            if config.sample_rate != SAMPLE_RATE:
                raise F2VError(f"an 'istft' generator makes {SAMPLE_RATE} Hz, not {config.sample_rate}", "take hifigan")
            self.out_proj = nn.Linear(config.conformer.width, MEL_FRAMES_PER_VIDEO_FRAME * N_MELS)
            self.filter = ISTFTVocoder(sound)
        else:
            self.generator = HiFiGAN(sound, inputs=config.conformer.width)
        self.log_mel = LogMel()
        self.spectral = SpectralLoss(sound.spectral_sizes)

    def sound(self, x: torch.Tensor) -> torch.Tensor:
        """Samples ``(B, F T)`` of ``(B, T, C)``, F a video frame."""
        made: torch.Tensor = (
            self.filter(self.hidden_mel(x)) if self.config.vocoder.generator == "istft" else self.generator(x)
        )
        return made.float()

    def hidden_mel(self, x: torch.Tensor) -> torch.Tensor:
        """What ``istft`` takes for log mels, ``(B, 4 T, 80)``."""
        mel: torch.Tensor = self.out_proj(x).float().view(len(x), -1, N_MELS)
        return self.standard[0] + self.standard[1] * mel

    def synthesize(self, z: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor) -> WaveOutput:
        x = self.trunk(z, speaker, mask)
        out = x.new_zeros(len(x), self.frame * mask.shape[1], dtype=torch.float32)
        for row, one, frames in zip(out, x, mask.sum(1).tolist(), strict=True):
            row[: self.frame * frames] = self.sound(one[None, :frames])[0]
        return WaveOutput(out.view(len(x), -1, self.frame // MEL_FRAMES_PER_VIDEO_FRAME))

    def taught(self, z: torch.Tensor, batch: Batch) -> DecoderLoss:
        """As ``Decoder.taught``; the batch has ``audio`` ``(B, F T)``, and ``f0`` ``(B, 4 T)`` in Hz for ``istft``."""
        sound, mask = self.config.vocoder, batch["mask"]
        x = self.trunk(z, batch["speaker"], mask)
        lengths = mask.sum(1)
        frames = min(sound.segment // self.frame, int(lengths.min()))
        starts = (torch.rand(len(x), device=x.device) * (lengths - frames + 1)).long()
        x, real = cut(x, starts, frames), cut(batch["audio"], starts * self.frame, frames * self.frame)
        parts: dict[str, torch.Tensor] = {}
        if sound.generator == "istft":
            mel, f0 = (
                self.hidden_mel(x),
                cut(batch["f0"], starts * MEL_FRAMES_PER_VIDEO_FRAME, frames * MEL_FRAMES_PER_VIDEO_FRAME),
            )
            made = self.filter(mel, self.filter.source(mel, f0)).float()
            parts = self.filter.losses(mel, f0)
        else:
            made = self.sound(x)
        total = sum(parts.values(), torch.zeros((), device=x.device)) * sound.pitch_weight
        parts["mel_l1"] = functional.l1_loss(self._log_mel(made), self._log_mel(real))
        parts["spectral"] = self.spectral(made, real)
        total = total + sound.mel_weight * parts["mel_l1"] + sound.spectral_weight * parts["spectral"]
        return DecoderLoss(parts | {"loss": total}, real, made)

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
        """The suite's mels ``(B, n, 80)`` of samples at this rate."""
        if self.config.sample_rate != SAMPLE_RATE:
            from torchaudio.functional import resample  # type: ignore[import-untyped]

            samples = resample(samples, self.config.sample_rate, SAMPLE_RATE)
        found: torch.Tensor = self.log_mel(samples)
        return found


def cut(x: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
    """A piece of each row, ``(B, n, ...)`` to ``(B, length, ...)``."""
    places = starts[:, None] + torch.arange(length, device=x.device)
    return x[torch.arange(len(x), device=x.device)[:, None], places]


def build_decoder(config: V2AConfig, standard: tuple[float, float], *, divided: bool) -> Decoder:
    """The decoder of a configuration.

    Args:
        config: of either system.
        standard: mean and deviation of log mels.
        divided: whether its batch norms know two domains; while there is audio alone, plain ones do.
    """
    norm: Norm = partial(DomainBatchNorm, form=config.domain_norm) if divided else nn.BatchNorm1d
    if isinstance(config, WaveConfig):
        return WaveDecoder(config, standard, norm)
    assert isinstance(config, MelConfig)
    return MelDecoder(config, standard, norm)
