"""Mel decoder: content, speaker and contours to the prior mu and, by the flow, to a mel spectrogram.

    voiced   = fusion(content, speaker), upsampled           100 Hz
    features = blocks(voiced + embedding(contours))          100 Hz
    mu       = linear(features)                              100 Hz  -> mel (prior)
    mel      = ODE of the flow given mu and features         100 Hz

The content comes from lips, as in ``FacesToVoices``, or from audio, as in ``AudioAutoencoder``. Mel, log F0 and log
energy are standardized with the mean and deviation of the training corpus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.modeling.batch import Batch
from f2v_bench.signal.mel import N_MELS
from reference_model.config import FacesToVoicesConfig
from reference_model.flow import FlowMatching
from reference_model.prosody import ContourEmbedding, Contours, conv_blocks
from reference_model.timbre import SpeakerFusion
from reference_model.velocity_net import build_velocity_net


@dataclass(frozen=True, slots=True)
class DataStatistics:
    """Mean and deviation of the training corpus's log mel, log F0 (voiced frames) and log energy."""

    mel: tuple[float, float] = (0.0, 1.0)
    pitch: tuple[float, float] = (0.0, 1.0)
    energy: tuple[float, float] = (0.0, 1.0)


class DecoderInputs(NamedTuple):
    """Condition of the flow.

    Attributes:
        mu: standardized mel of the prior, ``(B, 4 T, 80)``.
        features: hidden features, ``(B, 4 T, C)``.
        mask: bool ``(B, 4 T)``, True at real frames.
    """

    mu: torch.Tensor
    features: torch.Tensor
    mask: torch.Tensor


class Upsample(nn.Module):
    """Transposed convolutions from 25 to 50 to 100 Hz, ``(B, T, C)`` to ``(B, 4 T, C)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)
        self.second = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, 4 T, C)``."""
        masked = (x * mask[..., None]).transpose(1, 2)  # (B, C, T)
        doubled = functional.silu(self.first(masked)) * mask.repeat_interleave(2, 1)[:, None]
        out: torch.Tensor = self.second(doubled).transpose(1, 2)
        return out


class MelDecoder(nn.Module):
    """Decoder from content features, a speaker embedding and contours to mels.

    Args:
        config: settings of the model.
        statistics: means and deviations of the training corpus.
        speaker: build the fusion with a speaker embedding.
        contours: build the embedding of contours.
    """

    def __init__(
        self, config: FacesToVoicesConfig, statistics: DataStatistics, *, speaker: bool = True, contours: bool = True
    ) -> None:
        super().__init__()
        self.config = config.flow
        for name, pair in asdict(statistics).items():
            # not persistent: weight files keep the statistics unrounded in their header
            self.register_buffer(f"{name}_statistics", torch.tensor(pair), persistent=False)
        self.mel_statistics: torch.Tensor
        self.pitch_statistics: torch.Tensor
        self.energy_statistics: torch.Tensor
        width = config.content.width
        self.fusion = SpeakerFusion(width, config.timbre.speaker) if speaker else None
        self.contour_embedding = ContourEmbedding(config.prosody, width) if contours else None
        self.upsample = Upsample(width)
        self.blocks = conv_blocks(width, config.condition)
        self.norm = nn.LayerNorm(width)
        self.mu = nn.Linear(width, N_MELS)
        self.flow = FlowMatching(build_velocity_net(config.flow, width, N_MELS), config.flow)

    def fuse(self, content: torch.Tensor, speaker: torch.Tensor | None, mask: torch.Tensor) -> torch.Tensor:
        """Fuse content with the speaker and upsample it to mel rate, ``(B, 4 T, C)``.

        Args:
            content: content features, ``(B, T, C)``.
            speaker: speaker embedding, unit vectors ``(B, 256)``; unused by a decoder without fusion.
            mask: bool ``(B, T)``, True at real frames.
        """
        if self.fusion is not None:
            content = self.fusion(content, speaker)
        upsampled: torch.Tensor = self.upsample(content, mask)
        return upsampled

    def forward(self, voiced: torch.Tensor, mask: torch.Tensor, contours: Contours | None = None) -> DecoderInputs:
        """Compute the condition of the flow.

        Args:
            voiced: output of ``fuse``, ``(B, 4 T, C)``.
            mask: bool ``(B, 4 T)``, True at real frames.
            contours: standardized contours, voicing 0 or 1; unused by a decoder without their embedding.
        """
        if self.contour_embedding is not None:
            voiced = voiced + self.contour_embedding(contours, mask)
        for block in self.blocks:
            voiced = block(voiced, mask)
        features = self.norm(voiced)
        return DecoderInputs(self.mu(features), features, mask)

    def losses(self, inputs: DecoderInputs, mel: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the losses ``prior`` and ``flow``.

        Args:
            inputs: output of ``forward``.
            mel: target log mel spectrogram, ``(B, 4 T, 80)``, natural log.
        """
        mel = self.standardize(mel)
        error = ((inputs.mu.float() - mel) ** 2).mean(2)
        prior = (error * inputs.mask).sum() / inputs.mask.sum()
        return {"prior": prior, "flow": self.flow.loss(mel, *inputs)}

    def sample(
        self,
        inputs: DecoderInputs,
        noise: torch.Tensor,
        *,
        steps: int | None = None,
        solver: str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
    ) -> torch.Tensor:
        """Sample log mel spectrograms ``(B, 4 T, 80)``, natural log.

        Args:
            inputs: output of ``forward``.
            noise: standard normal noise, ``(B, 4 T, 80)``.
            steps: number of solver steps; None takes the configuration's.
            solver: name of the ODE solver; None takes the configuration's.
            guidance: guidance scale; None takes the configuration's.
            temperature: standard deviation of the initial state; None takes the configuration's.
        """
        config = self.config
        mel, _ = self.flow.sample(
            noise,
            *inputs,
            steps=config.steps if steps is None else steps,
            solver=config.solver if solver is None else solver,
            guidance=config.guidance if guidance is None else guidance,
            temperature=config.temperature if temperature is None else temperature,
        )
        return mel * self.mel_statistics[1] + self.mel_statistics[0]

    def standardize(self, mel: torch.Tensor) -> torch.Tensor:
        """Standardize a log mel spectrogram."""
        return (mel - self.mel_statistics[0]) / self.mel_statistics[1]

    def target_contours(self, batch: Batch) -> Contours:
        """Return the batch's true contours, standardized.

        Args:
            batch: batch with ``f0`` ``(B, 4 T)`` in Hz, 0 where unvoiced, and ``energy`` ``(B, 4 T)``, natural log.
        """
        voicing = (batch["f0"] > 0).float()
        mean, deviation = self.pitch_statistics
        pitch = (batch["f0"].clamp(min=1).log() - mean) / deviation * voicing
        mean, deviation = self.energy_statistics
        return Contours(pitch, voicing, (batch["energy"] - mean) / deviation)

    def log_f0(self, pitch: torch.Tensor) -> torch.Tensor:
        """Convert standardized pitch to log F0 in Hz."""
        return self.pitch_statistics[0] + self.pitch_statistics[1] * pitch


def add_total(losses: dict[str, torch.Tensor], weights: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """Add the weighted sum of the losses as ``loss``."""
    total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
    return losses | {"loss": total}
