"""Audio autoencoder: pre-training of the mel decoder on audio alone.

    z        = bottleneck(AudioEncoder(mel))                 25 Hz   in place of content
    mel      = MelDecoder(z, speaker, true contours)         100 Hz

After *Large-Scale Unsupervised Audio Pre-Training for Video-to-Speech Synthesis* (Kefalas et al., TASLP 2024), which
pre-trains other decoders so. The whole mel decoder is reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch

from f2v_bench.modeling.audio_encoder import AudioFrontend
from f2v_bench.modeling.base import Model, ModelOutput, Statistics
from f2v_bench.modeling.batch import Batch
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics, DecoderInputs, MelDecoder, add_total
from reference_model.model import FacesToVoices

if TYPE_CHECKING:
    from f2v_bench.training.audio_checkpoint import PretrainedDecoder


class AudioAutoencoder(Model[ModelOutput]):
    """Autoencoder of mels with the decoder of the reference model.

    Args:
        config: settings of the model.
        statistics: means and deviations of the audio.

    Raises:
        ValueError: settings of a layer that do not fit together.
    """

    def __init__(self, config: FacesToVoicesConfig, statistics: DataStatistics) -> None:
        super().__init__()
        self.config = config
        self.audio_frontend = AudioFrontend(
            config.audio_encoder, config.bottleneck, config.content.width, statistics.mel
        )
        self.decoder = MelDecoder(config, statistics)

    @classmethod
    def from_statistics(cls, config: FacesToVoicesConfig, statistics: Statistics) -> Self:
        return cls(config, DataStatistics(**statistics))

    def forward(self, batch: Batch) -> DecoderInputs:
        """Encode ``mel`` and condition the decoder on it, and on ``speaker``, ``f0`` and ``energy``."""
        mask = batch["mask"]
        mel_mask = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)  # (B, 4 T)
        voiced = self.decoder.fuse(self.audio_frontend(batch), batch["speaker"], mask)
        inputs: DecoderInputs = self.decoder(voiced, mel_mask, self.decoder.target_contours(batch))
        return inputs

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        weights = {"prior": self.config.flow.prior_weight, "flow": 1.0}
        return add_total(self.decoder.losses(self(batch), batch["mel"]), weights)

    @torch.no_grad()
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> ModelOutput:
        """Reconstruct mels; ``noise`` and ``settings`` as for ``FacesToVoices.synthesize``."""
        return ModelOutput(self.decoder.sample(self(batch), noise, **settings))


def load_pretrained(pretrained: PretrainedDecoder, model: FacesToVoices) -> None:
    """Initialize the decoder of a model with the one of an audio autoencoder.

    Args:
        pretrained: weights of an ``AudioAutoencoder``.
        model: model to initialize.

    Raises:
        F2VError: weights of another size.
    """
    pretrained.load_pretrained(model.decoder, "decoder.")
