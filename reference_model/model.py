"""*From Faces to Voices*: lips, face and expression to content, timbre and prosody, and these to a mel spectrogram.

content  = ConvBlocks(lip features)                      25 Hz   -> speech units (cross entropy)
speaker  = TimbreEncoder(faces)                                  -> GE2E (cosine, InfoNCE)
voiced   = MelDecoder.fuse(content, speaker)             100 Hz
contours = ProsodyPredictor(voiced, expression)          100 Hz  -> pitch, voicing, energy
mel      = MelDecoder(voiced, contours)                  100 Hz  -> mel (prior, flow)

Lip encoder and vocoder are not part of it. C is the width of the content, T the number of video frames.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import nn

from f2v_bench.modeling.base import Model, ModelOutput, Statistics
from f2v_bench.modeling.batch import Batch
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from reference_model.config import FacesToVoicesConfig
from reference_model.content import ContentEncoder
from reference_model.mel_decoder import DataStatistics, DecoderInputs, MelDecoder, add_total
from reference_model.prosody import Contours, ProsodyPredictor, contour_losses
from reference_model.timbre import TimbreEncoder


class Conditioning(NamedTuple):
    """Output of the stages before the flow.

    Attributes:
        inputs: condition of the flow.
        losses: losses of the stages by name; empty at synthesis.
        log_f0: log F0 in Hz, ``(B, 4 T)``; None in training, and without a prosody stage.
        voicing: probability of voicing, ``(B, 4 T)``; None where ``log_f0`` is.
    """

    inputs: DecoderInputs
    losses: dict[str, torch.Tensor]
    log_f0: torch.Tensor | None = None
    voicing: torch.Tensor | None = None


class FacesToVoices(Model[ModelOutput]):
    """The whole model without lip encoder and vocoder, or the ablation without timbre or prosody.

    Args:
        config: settings of the model.
        statistics: means and deviations of the training corpus.

    Raises:
        ValueError: settings of a layer that do not fit together.
    """

    def __init__(self, config: FacesToVoicesConfig, statistics: DataStatistics) -> None:
        super().__init__()
        self.config = config
        width, speaker = config.content.width, config.timbre.speaker
        self.timbre: TimbreEncoder | None = None
        self.prosody: ProsodyPredictor | None = None
        if config.ablate != "timbre":
            self.timbre = TimbreEncoder(config.timbre)
        self.content = ContentEncoder(config.content, config.lips.outputs, config.units.count)
        if self.timbre is None:
            self.null_speaker = nn.Parameter(torch.zeros(speaker))
        if config.ablate != "prosody":
            self.prosody = ProsodyPredictor(config.prosody, width, speaker)
        self.decoder = MelDecoder(config, statistics, contours=self.prosody is not None)

    @classmethod
    def from_statistics(cls, config: FacesToVoicesConfig, statistics: Statistics) -> Self:
        return cls(config, DataStatistics(**statistics))

    def forward(self, batch: Batch, *, training: bool = False) -> Conditioning:
        """Run content, timbre and prosody, and condition the decoder on them.

        Args:
            batch: lip ``features`` ``(B, T, L, D)``, ``face``, ``identity`` and ``mask`` ``(B, T)`` as of
                ``training_example``; a speaker embedding ``voice`` ``(B, 256)``, a unit vector, replaces the face's.
            training: compute the losses of the stages, and pass the true contours of the batch to the decoder.
        """
        losses: dict[str, torch.Tensor] = {}
        mask = batch["mask"]
        mel_mask = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)  # (B, 4 T)

        if training:
            content, losses = self.content.loss(batch["features"], mask, batch["units"])
        else:
            content, _ = self.content(batch["features"], mask)

        speaker, timbre_losses = self.speaker_embedding(batch, training=training)
        losses |= timbre_losses
        voiced = self.decoder.fuse(content, speaker, mask)  # (B, 4 T, C)
        if self.prosody is None:
            return Conditioning(self.decoder(voiced, mel_mask), losses)

        prediction, pitch_stats = self.predict_contours(batch, voiced, speaker, mel_mask)
        if training:
            target = self.decoder.target_contours(batch)
            losses |= prosody_losses(prediction, pitch_stats, target, batch["pitch_stats"].float(), mel_mask)
            return Conditioning(self.decoder(voiced, mel_mask, target), losses)

        pitch = pitch_stats[:, :1] + pitch_stats[:, 1:].exp() * prediction.pitch  # (B, 4 T), where unvoiced too
        voicing = (prediction.voicing > 0).float()
        contours = Contours(pitch * voicing, voicing, prediction.energy)
        inputs = self.decoder(voiced, mel_mask, contours)
        return Conditioning(inputs, losses, self.decoder.log_f0(pitch), prediction.voicing.sigmoid())

    def speaker_embedding(
        self, batch: Batch, *, training: bool = False
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return speaker embeddings ``(B, 256)`` of faces or voices, or the learned one, and the timbre loss.

        In training some clips get the embedding of their audio, so that it can replace the face's at synthesis.
        """
        if self.timbre is None:
            return self.null_speaker.expand(len(batch["mask"]), -1), {}
        if "voice" in batch:
            return batch["voice"], {}
        speaker: torch.Tensor = self.timbre(batch["identity"])
        if not training:
            return speaker, {}
        loss = self.timbre.loss(speaker.float(), batch["speaker"], batch["person"])
        uses_audio = torch.rand(len(speaker), 1, device=speaker.device) < self.config.timbre.audio_probability
        return torch.where(uses_audio, batch["speaker"].to(speaker.dtype), speaker), {"timbre": loss}

    def predict_contours(
        self, batch: Batch, voiced: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor
    ) -> tuple[Contours, torch.Tensor]:
        """Predict contours in the speaker's deviations, and mean and log deviation of the speaker's pitch.

        Args:
            batch: ``face`` ``(B, T, 56, 56)`` and ``mask`` ``(B, T)``.
            voiced: content fused with the speaker, ``(B, 4 T, C)``.
            speaker: speaker embedding, ``(B, 256)``.
            mask: bool ``(B, 4 T)``, True at real frames.

        Returns:
            Contours, voicing as a logit, and pitch statistics ``(B, 2)``, standardized over the corpus.
        """
        assert self.prosody is not None
        expression = self.prosody.expression(batch["face"], batch["mask"])  # (B, T, E)
        expression = expression.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)
        return self.prosody(voiced, expression, mask), self.prosody.pitch_stats(speaker).float()

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        inputs, losses, *_ = self(batch, training=True)
        return add_total(losses | self.decoder.losses(inputs, batch["mel"]), self.loss_weights())

    def loss_weights(self) -> dict[str, float]:
        """Return the weights of the losses by name."""
        config = self.config
        return {
            "units": config.content.weight,
            "units_masked": config.content.weight * config.content.masked_weight,
            "timbre": config.timbre.weight,
            **dict.fromkeys(("pitch_stats", "pitch", "voicing", "energy"), config.prosody.weight),
            "prior": config.flow.prior_weight,
            "flow": 1.0,
        }

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        """Predict mels, and F0 and voicing of a model with a prosody stage.

        Args:
            batch: video inputs as for ``forward``.
            noise: standard normal samples ``(B, 4 T, 80)``.
            settings: sampling settings, see ``MelDecoder.sample``.
        """
        found: Conditioning = self(batch)
        return ModelOutput(self.decoder.sample(found.inputs, noise, **settings), found.log_f0, found.voicing)


def prosody_losses(
    prediction: Contours, pitch_stats: torch.Tensor, target: Contours, target_stats: torch.Tensor, mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Compute the losses of the contours and of the speaker's pitch statistics.

    Args:
        prediction: contours with pitch in the speaker's deviations, voicing as a logit.
        pitch_stats: predicted mean and log deviation of the speaker's pitch, ``(B, 2)``.
        target: true contours, standardized over the corpus.
        target_stats: true mean and deviation of the speaker's pitch, ``(B, 2)``, standardized over the corpus.
        mask: bool ``(B, 4 T)``, True at real frames.
    """
    mean, deviation = target_stats.chunk(2, dim=1)
    losses = contour_losses(prediction, target._replace(pitch=(target.pitch - mean) / deviation), mask)
    losses["pitch_stats"] = (pitch_stats - torch.cat([mean, deviation.log()], dim=1)).abs().mean()
    return losses
