"""What the reference model says under a condition: features to mu and, by the flow, to a mel spectrogram.

Where the condition comes from is left open: from faces, as in the model itself, or from speech, by which its decoder
can be taught before it is told of faces. Mel, pitch and energy are standardised with the training corpus's mean and
deviation.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.modeling import base
from f2v_bench.modeling.base import Model
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.layers.transformer import ConvBlock
from f2v_bench.signal.mel import N_MELS
from reference_model.config import ConditionConfig, ContentConfig, FacesToVoicesConfig, ProsodyConfig
from reference_model.flow import FlowMatching
from reference_model.prosody import Contours


@dataclass(frozen=True, slots=True)
class DataStatistics:
    """Mean and deviation of the training corpus's mel, log F0 (voiced) and log energy."""

    mel: tuple[float, float] = (0.0, 1.0)
    pitch: tuple[float, float] = (0.0, 1.0)
    energy: tuple[float, float] = (0.0, 1.0)


class DecoderInputs(NamedTuple):
    """What the decoder is given.

    Attributes:
        mu: standardised mel that the prior loss draws to the true one, ``(B, 4 T, 80)``.
        features: ``(B, 4 T, C)``.
        mask: bool ``(B, 4 T)``.
        losses: of the stages, by name; empty at synthesis.
        melody: at synthesis with a prosody stage, log F0 in Hz and the probability of voicing, ``(B, 4 T, 2)``.
    """

    mu: torch.Tensor
    features: torch.Tensor
    mask: torch.Tensor
    losses: dict[str, torch.Tensor]
    melody: torch.Tensor | None = None


class ModelOutput(NamedTuple):
    """What the model says.

    Attributes:
        mel: natural log, ``(B, 4 T, 80)``.
        melody: log F0 in Hz and the probability of voicing, ``(B, 4 T, 2)``; None without a prosody stage.
    """

    mel: torch.Tensor
    melody: torch.Tensor | None


class Upsample(nn.Module):
    """25 to 50 to 100 Hz by transposed convolutions, ``(B, T, C)`` to ``(B, 4 T, C)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)
        self.second = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        inside = (x * mask[..., None]).transpose(1, 2)  # (B, C, T)
        twice = functional.silu(self.first(inside)) * mask.repeat_interleave(2, 1)[:, None]
        out: torch.Tensor = self.second(twice).transpose(1, 2)
        return out


def conv_blocks(width: int, config: ContentConfig | ProsodyConfig | ConditionConfig) -> nn.ModuleList:
    """As many convolution blocks as a part asks for, with its kernel and dropout."""
    return nn.ModuleList(
        ConvBlock(width, config.kernel, config.dropout, hidden=2 * width) for _ in range(config.blocks)
    )


class MelDecoder(Model[base.ModelOutput]):
    """Decoder of the reference model; what is seen or heard becomes its condition in a subclass.

    Args:
        config: of every part.
        standard: of the training corpus.
    """

    def __init__(self, config: FacesToVoicesConfig, standard: DataStatistics) -> None:
        super().__init__()
        self.config = config
        for name in ("mel", "pitch", "energy"):
            pair = torch.tensor(getattr(standard, name))
            self.register_buffer(f"{name}_standard", pair, persistent=False)  # whoever keeps weights keeps the standard
        self.mel_standard: torch.Tensor
        self.pitch_standard: torch.Tensor
        self.energy_standard: torch.Tensor

    def build_decoder(self) -> None:
        """From what is fused at 25 Hz to mels; the last parts that a subclass builds."""
        width = self.config.content.width
        self.upsample = Upsample(width)
        self.blocks = conv_blocks(width, self.config.condition)
        self.norm = nn.LayerNorm(width)
        self.mu = nn.Linear(width, N_MELS)
        self.flow = FlowMatching(self.config.flow, width, N_MELS)

    @abstractmethod
    def condition(self, batch: Batch, *, teach: bool = False) -> DecoderInputs:
        """What the decoder is given.

        Args:
            batch: of T video frames, with ``mask`` ``(B, T)``.
            teach: compute losses of what comes before the decoder, and give it the truth where it is to have it.
        """

    def weights(self) -> dict[str, float]:
        """Of the losses that a condition brings, by their names."""
        return {}

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Every loss by name, and their weighted sum as ``loss``."""
        condition = self.condition(batch, teach=True)
        mel = self.standardized(batch["mel"])
        mask = condition.mask
        error = ((condition.mu.float() - mel) ** 2).mean(2)
        parts = dict(condition.losses)
        parts["prior"] = (error * mask).sum() / mask.sum()
        parts["flow"] = self.flow.loss(mel, condition.mu, condition.features, mask)
        weights = self.weights() | {"prior": self.config.flow.prior_weight, "flow": 1.0}
        parts["loss"] = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        return parts

    def conditioned(
        self, x: torch.Tensor, mask: torch.Tensor, losses: dict[str, torch.Tensor], melody: torch.Tensor | None = None
    ) -> DecoderInputs:
        """What the decoder is given, of fused channels ``(B, 4 T, C)`` at mel rate with ``mask`` ``(B, 4 T)``."""
        for block in self.blocks:
            x = block(x, mask)
        features = self.norm(x)
        return DecoderInputs(self.mu(features), features, mask, losses, melody)

    def targets(self, batch: Batch) -> Contours:
        """The batch's true contours, standardised."""
        voicing = (batch["f0"] > 0).float()
        mean, deviation = self.pitch_standard
        pitch = (batch["f0"].clamp(min=1).log() - mean) / deviation * voicing
        mean, deviation = self.energy_standard
        return Contours(pitch, voicing, (batch["energy"] - mean) / deviation)

    def standardized(self, mel: torch.Tensor) -> torch.Tensor:
        return (mel - self.mel_standard[0]) / self.mel_standard[1]

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> base.ModelOutput:
        mel, melody = self.generate(batch, noise, **settings)
        return base.ModelOutput(mel) if melody is None else base.ModelOutput(mel, melody[..., 0], melody[..., 1])

    def generate(
        self,
        batch: Batch,
        noise: torch.Tensor,
        *,
        steps: int | None = None,
        solver: str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
    ) -> ModelOutput:
        """Mels, and the melody that they were made to follow.

        Args:
            batch: as ``condition`` takes it.
            noise: standard normal ``(B, 4 T, 80)``.
            steps: instead of the configuration's.
            solver: instead of the configuration's.
            guidance: instead of the configuration's.
            temperature: instead of the configuration's.
        """
        condition = self.condition(batch)
        flow = self.config.flow
        mel, _ = self.flow.sample(
            noise,
            condition.mu,
            condition.features,
            condition.mask,
            steps=flow.steps if steps is None else steps,
            solver=flow.solver if solver is None else solver,
            guidance=flow.guidance if guidance is None else guidance,
            temperature=flow.temperature if temperature is None else temperature,
        )
        return ModelOutput(mel * self.mel_standard[1] + self.mel_standard[0], condition.melody)
