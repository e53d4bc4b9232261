"""*From Faces to Voices*: lips, face and expression to content, timbre and prosody, and these to a mel spectrogram.

    content  = ConvBlocks(lip features)                      25 Hz   -> speech units (cross entropy)
    speaker  = faces                                                 -> GE2E (cosine, InfoNCE)
    voiced   = fusion(content, speaker), upsampled           100 Hz
    contours = predictor(voiced, expression)                 100 Hz  -> pitch, voicing, energy
    features = blocks(voiced + embedding(contours))          100 Hz
    mu       = linear(features)                              100 Hz  -> mel (prior)
    mel      = ODE of the flow given mu and features         100 Hz

Mel, pitch and energy are standardised with the training corpus's mean and deviation, which the model carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.frozen_lips import LayerSum
from f2v_bench.nn.transformer import ConvBlock
from f2v_bench.signal.mel import N_MELS
from f2v_bench.training.loader import Batch
from f2v_bench.training.model import Model
from f2v_bench.training.targets import MELS
from reference_model.config import ConditionConfig, ContentConfig, ProsodyConfig, ReferenceConfig
from reference_model.content import Content
from reference_model.flow import FlowMatching
from reference_model.prosody import Contours, ExpressionEncoder, Prosody, contour_losses
from reference_model.timbre import Fusion, Timbre


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and deviation of the training corpus's mel, log F0 (voiced) and log energy."""

    mel: tuple[float, float] = (0.0, 1.0)
    pitch: tuple[float, float] = (0.0, 1.0)
    energy: tuple[float, float] = (0.0, 1.0)


class Condition(NamedTuple):
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


class Spoken(NamedTuple):
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


def _blocks(width: int, config: ContentConfig | ProsodyConfig | ConditionConfig) -> nn.ModuleList:
    """As many convolution blocks as a part asks for, with its kernel and dropout."""
    return nn.ModuleList(
        ConvBlock(width, config.kernel, config.dropout, hidden=2 * width) for _ in range(config.blocks)
    )


class ReferenceModel(Model):
    """The whole model without lip encoder and vocoder; ablations take their parts out.

    Args:
        config: of every part.
        standard: of the training corpus.
    """

    def __init__(self, config: ReferenceConfig, standard: Standard) -> None:
        super().__init__()
        self.config = config
        width, ablate = config.content.width, config.ablate
        for name in ("mel", "pitch", "energy"):
            pair = torch.tensor(getattr(standard, name))
            self.register_buffer(f"{name}_standard", pair, persistent=False)  # whoever keeps weights keeps the standard
        self.content: Content | None = None
        self.timbre: Timbre | None = None
        self.prosody: Prosody | None = None
        if ablate != "timbre":
            self.timbre = Timbre(config.timbre)
        if ablate == "hierarchy":
            # one encoder that sees everything at once, of the size of the stages that it replaces
            self.lips = LayerSum(*config.lips.outputs, width)
            self.expression = ExpressionEncoder(config.prosody)
            self.mix = nn.Linear(width + config.timbre.speaker + config.prosody.width, width)
            self.encoder = _blocks(width, config.content)
            self.fine = _blocks(width, config.prosody)
        else:
            self.content = Content(config.content, config.lips.outputs, config.units.count)
            self.fusion = Fusion(width, config.timbre.speaker)
            if ablate == "timbre":
                self.nobody = nn.Parameter(torch.zeros(config.timbre.speaker))  # the speaker where there is no stage
            if ablate != "prosody":
                self.prosody = Prosody(config.prosody, width, config.timbre.speaker)
        self.upsample = Upsample(width)
        self.blocks = _blocks(width, config.condition)
        self.norm = nn.LayerNorm(width)
        self.mu = nn.Linear(width, N_MELS)
        self.flow = FlowMatching(config.flow, width, N_MELS)
        self.mel_standard: torch.Tensor
        self.pitch_standard: torch.Tensor
        self.energy_standard: torch.Tensor

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Every loss by name, and their weighted sum as ``loss``."""
        config = self.config
        condition = self.condition(batch, teach=True)
        mel = self.standardised(batch["mel"])
        mask = condition.mask
        error = ((condition.mu.float() - mel) ** 2).mean(2)
        parts = dict(condition.losses)
        parts["prior"] = (error * mask).sum() / mask.sum()
        parts["flow"] = self.flow.loss(mel, condition.mu, condition.features, mask)
        weights = {
            "units": config.content.weight,
            "units_masked": config.content.weight * config.content.masked_weight,
            "timbre": config.timbre.weight,
            "place": config.prosody.weight,
            "pitch": config.prosody.weight,
            "voicing": config.prosody.weight,
            "energy": config.prosody.weight,
            "prior": config.flow.prior_weight,
            "flow": 1.0,
        }
        parts["loss"] = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        return parts

    def condition(self, batch: Batch, *, teach: bool = False) -> Condition:
        """From a batch's lip ``features`` ``(B, T, L, D)``, ``face``, ``identity`` and ``mask``.

        Args:
            batch: as ``training.main`` makes it; ``voice`` ``(B, 256)``, a unit vector, takes the place of the face's.
            teach: compute the stages' losses, and give the true contours to what follows, from the batch's targets.
        """
        if self.content is None:
            return self._at_once(batch)
        mask, losses = batch["mask"], {}
        if teach:
            losses = self.content.loss(batch["features"], mask, batch["units"])
            content = losses.pop("content")
        else:
            content, _ = self.content(batch["features"], mask)
        speaker = self._speaker(batch, losses, teach=teach)
        voiced = self.upsample(self.fusion(content, speaker), mask)  # (B, 4 T, C)
        fine = mask.repeat_interleave(MELS, 1)  # (B, 4 T)
        melody = None
        if self.prosody is not None:
            contours, melody = self._contours(batch, voiced, speaker, fine, losses, teach=teach)
            voiced = voiced + self.prosody.embedding(contours, fine)
        return self._conditioned(voiced, fine, losses, melody)

    def _speaker(self, batch: Batch, losses: dict[str, torch.Tensor], *, teach: bool) -> torch.Tensor:
        """Unit vectors ``(B, 256)`` from faces, voices, or of nobody; in training some clips take the true one."""
        if self.timbre is None:
            return self.nobody.expand(len(batch["mask"]), -1)
        if "voice" in batch:
            return batch["voice"]
        speaker: torch.Tensor = self.timbre(batch["identity"])
        if teach:
            losses["timbre"] = self.timbre.loss(speaker.float(), batch["speaker"], batch["person"])
            heard = torch.rand(len(speaker), 1, device=speaker.device) < self.config.timbre.audio_probability
            speaker = torch.where(heard, batch["speaker"].to(speaker.dtype), speaker)
        return speaker

    def _contours(
        self,
        batch: Batch,
        voiced: torch.Tensor,
        speaker: torch.Tensor,
        mask: torch.Tensor,
        losses: dict[str, torch.Tensor],
        *,
        teach: bool,
    ) -> tuple[Contours, torch.Tensor | None]:
        """True contours in training; else predicted ones, voicing decided, pitch moved to the speaker's place.

        Beside the predicted ones, the melody of ``Condition``.
        """
        assert self.prosody is not None
        expression = self.prosody.expression(batch["face"], batch["mask"]).repeat_interleave(MELS, 1)  # (B, 4 T, E)
        found = self.prosody(voiced, expression, mask)
        place = self.prosody.place(speaker).float()  # (B, 2): mean and log deviation of the speaker's pitch
        if not teach:
            said = (found.voicing > 0).float()
            pitch = place[:, :1] + place[:, 1:].exp() * found.pitch  # (B, 4 T), where unvoiced too
            mean, deviation = self.pitch_standard
            melody = torch.stack([mean + deviation * pitch, found.voicing.sigmoid()], dim=2)
            return Contours(pitch * said, said, found.energy), melody
        true = self.targets(batch)
        mean, deviation = batch["pitch_place"].float().chunk(2, dim=1)  # the speaker's, standardised
        scored = true._replace(pitch=(true.pitch - mean) / deviation)
        losses |= contour_losses(found, scored, mask)
        losses["place"] = (place - torch.cat([mean, deviation.log()], dim=1)).abs().mean()
        return true, None

    def _at_once(self, batch: Batch) -> Condition:
        """The ablation without hierarchy: all that is seen into one encoder, taught by mel alone."""
        assert self.timbre is not None
        mask = batch["mask"]
        lips = self.lips(batch["features"])
        who = self.timbre(batch["identity"])[:, None].expand(-1, lips.shape[1], -1)
        x = self.mix(torch.cat([lips, who, self.expression(batch["face"], mask)], dim=2))
        for block in self.encoder:
            x = block(x, mask)
        fine = mask.repeat_interleave(MELS, 1)
        x = self.upsample(x, mask)
        for block in self.fine:
            x = block(x, fine)
        return self._conditioned(x, fine, {})

    def _conditioned(
        self, x: torch.Tensor, mask: torch.Tensor, losses: dict[str, torch.Tensor], melody: torch.Tensor | None = None
    ) -> Condition:
        for block in self.blocks:
            x = block(x, mask)
        features = self.norm(x)
        return Condition(self.mu(features), features, mask, losses, melody)

    def targets(self, batch: Batch) -> Contours:
        """The batch's true contours, standardised."""
        voicing = (batch["f0"] > 0).float()
        mean, deviation = self.pitch_standard
        pitch = (batch["f0"].clamp(min=1).log() - mean) / deviation * voicing
        mean, deviation = self.energy_standard
        return Contours(pitch, voicing, (batch["energy"] - mean) / deviation)

    def standardised(self, mel: torch.Tensor) -> torch.Tensor:
        return (mel - self.mel_standard[0]) / self.mel_standard[1]

    @torch.no_grad()
    def say(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> torch.Tensor:
        mel, melody = self.synthesize(batch, noise, **settings)
        return mel if melody is None else torch.cat([mel, melody], dim=2)  # (B, 4 T, 80), or 82

    def synthesize(
        self,
        batch: Batch,
        noise: torch.Tensor,
        *,
        steps: int | None = None,
        solver: str | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
    ) -> Spoken:
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
        return Spoken(mel * self.mel_standard[1] + self.mel_standard[0], condition.melody)
