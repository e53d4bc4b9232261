"""*From Faces to Voices*: lips, face and expression to content, timbre and prosody, and these to a mel spectrogram.

    content  = ConvBlocks(lip features)                      25 Hz   -> speech units (cross entropy)
    speaker  = faces                                                 -> GE2E (cosine, InfoNCE)
    voiced   = fusion(content, speaker), upsampled           100 Hz
    contours = predictor(voiced, expression)                 100 Hz  -> pitch, voicing, energy
    features = blocks(voiced + embedding(contours))          100 Hz
    mu       = linear(features)                              100 Hz  -> mel (prior)
    mel      = ODE of the flow given mu and features         100 Hz

The last three lines are ``conditioned``'s.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from f2v_bench.modeling.base import Statistics
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from reference_model.config import FacesToVoicesConfig
from reference_model.content import ContentEncoder
from reference_model.mel_decoder import DataStatistics, DecoderInputs, MelDecoder, conv_blocks
from reference_model.prosody import Contours, ExpressionEncoder, ProsodyPredictor, contour_losses
from reference_model.timbre import SpeakerFusion, TimbreEncoder


class FacesToVoices(MelDecoder):
    """The whole model without lip encoder and vocoder; ablations take their parts out.

    Args:
        config: of every part.
        standard: of the training corpus.
    """

    @classmethod
    def from_statistics(cls, config: FacesToVoicesConfig, statistics: Statistics) -> Self:
        return cls(config, DataStatistics(**statistics))

    def __init__(self, config: FacesToVoicesConfig, standard: DataStatistics) -> None:
        super().__init__(config, standard)
        width, ablate = config.content.width, config.ablate
        self.content: ContentEncoder | None = None
        self.timbre: TimbreEncoder | None = None
        self.prosody: ProsodyPredictor | None = None
        if ablate != "timbre":
            self.timbre = TimbreEncoder(config.timbre)
        if ablate == "hierarchy":
            # one encoder that sees everything at once, of the size of the stages that it replaces
            self.lips = WeightedLayerSum(*config.lips.outputs, width)
            self.expression = ExpressionEncoder(config.prosody)
            self.fuse_proj = nn.Linear(width + config.timbre.speaker + config.prosody.width, width)
            self.encoder = conv_blocks(width, config.content)
            self.fine = conv_blocks(width, config.prosody)
        else:
            self.content = ContentEncoder(config.content, config.lips.outputs, config.units.count)
            self.fusion = SpeakerFusion(width, config.timbre.speaker)
            if ablate == "timbre":
                self.nobody = nn.Parameter(torch.zeros(config.timbre.speaker))  # the speaker where there is no stage
            if ablate != "prosody":
                self.prosody = ProsodyPredictor(config.prosody, width, config.timbre.speaker)
        self.build_decoder()

    def weights(self) -> dict[str, float]:
        content, timbre, prosody = self.config.content, self.config.timbre, self.config.prosody
        return {
            "units": content.weight,
            "units_masked": content.weight * content.masked_weight,
            "timbre": timbre.weight,
            **dict.fromkeys(("place", "pitch", "voicing", "energy"), prosody.weight),
        }

    def condition(self, batch: Batch, *, teach: bool = False) -> DecoderInputs:
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
        fine = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)  # (B, 4 T)
        melody = None
        if self.prosody is not None:
            contours, melody = self._contours(batch, voiced, speaker, fine, losses, teach=teach)
            voiced = voiced + self.prosody.embedding(contours, fine)
        return self.conditioned(voiced, fine, losses, melody)

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

        Beside the predicted ones, the melody of ``DecoderInputs``.
        """
        assert self.prosody is not None
        expression = self.prosody.expression(batch["face"], batch["mask"]).repeat_interleave(
            MEL_FRAMES_PER_VIDEO_FRAME, 1
        )  # (B, 4 T, E)
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

    def _at_once(self, batch: Batch) -> DecoderInputs:
        """The ablation without hierarchy: all that is seen into one encoder, taught by mel alone."""
        assert self.timbre is not None
        mask = batch["mask"]
        lips = self.lips(batch["features"])
        who = self.timbre(batch["identity"])[:, None].expand(-1, lips.shape[1], -1)
        x = self.fuse_proj(torch.cat([lips, who, self.expression(batch["face"], mask)], dim=2))
        for block in self.encoder:
            x = block(x, mask)
        fine = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)
        x = self.upsample(x, mask)
        for block in self.fine:
            x = block(x, fine)
        return self.conditioned(x, fine, {})
