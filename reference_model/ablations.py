"""Ablation without hierarchy: one flat encoder in place of content, timbre and prosody stages."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn

from f2v_bench.modeling.base import Model, ModelOutput, Statistics
from f2v_bench.modeling.batch import Batch
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from reference_model.config import Ablation, FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics, DecoderInputs, MelDecoder, add_total
from reference_model.model import FacesToVoices
from reference_model.prosody import ExpressionEncoder, conv_blocks
from reference_model.timbre import TimbreEncoder


class FlatFacesToVoices(Model[ModelOutput]):
    """Model that fuses lips, identity and expression at once, trained by the losses of the mel alone.

    Its encoder has the size of the stages that it replaces.

    Args:
        config: settings of the model.
        statistics: means and deviations of the training corpus.

    Raises:
        ValueError: settings of a layer that do not fit together.
    """

    def __init__(self, config: FacesToVoicesConfig, statistics: DataStatistics) -> None:
        super().__init__()
        self.config = config
        width = config.content.width
        self.timbre = TimbreEncoder(config.timbre)
        self.lips = WeightedLayerSum(*config.lips.outputs, width)
        self.expression = ExpressionEncoder(config.prosody)
        self.fuse_proj = nn.Linear(width + config.timbre.speaker + config.prosody.width, width)
        self.encoder = conv_blocks(width, config.content)  # 25 Hz
        self.mel_encoder = conv_blocks(width, config.prosody)  # 100 Hz
        self.decoder = MelDecoder(config, statistics, speaker=False, contours=False)

    @classmethod
    def from_statistics(cls, config: FacesToVoicesConfig, statistics: Statistics) -> Self:
        return cls(config, DataStatistics(**statistics))

    def forward(self, batch: Batch) -> DecoderInputs:
        """Encode lip ``features``, ``face`` and ``identity``, and condition the decoder on them."""
        mask = batch["mask"]
        mel_mask = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)  # (B, 4 T)
        lips = self.lips(batch["features"])
        speaker = self.timbre(batch["identity"])[:, None].expand(-1, lips.shape[1], -1)
        x = self.fuse_proj(torch.cat([lips, speaker, self.expression(batch["face"], mask)], dim=2))
        for block in self.encoder:
            x = block(x, mask)
        x = self.decoder.fuse(x, None, mask)
        for block in self.mel_encoder:
            x = block(x, mel_mask)
        inputs: DecoderInputs = self.decoder(x, mel_mask)
        return inputs

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        weights = {"prior": self.config.flow.prior_weight, "flow": 1.0}
        return add_total(self.decoder.losses(self(batch), batch["mel"]), weights)

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        """Predict mels; arguments as for ``FacesToVoices.synthesize``."""
        return ModelOutput(self.decoder.sample(self(batch), noise, **settings))


def model_class(ablate: Ablation) -> type[FacesToVoices] | type[FlatFacesToVoices]:
    """Return the class of the whole model or of an ablation."""
    return FlatFacesToVoices if ablate == "hierarchy" else FacesToVoices
