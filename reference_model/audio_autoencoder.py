"""The decoder hears speech before it is told of faces: what is heard takes the place of content, beside true contours.

    z        = bottleneck(AudioEncoder(mel))                 25 Hz   in place of content
    voiced   = fusion(z, speaker), upsampled                 100 Hz
    features = blocks(voiced + embedding(true contours))     100 Hz
    mu, mel  as ``conditioned``                              100 Hz

After *Large-Scale Unsupervised Audio Pre-Training for Video-to-Speech Synthesis* (Kefalas et al., TASLP 2024), which
does so with other decoders. Everything from the fusion on is handed over.
"""

from __future__ import annotations

from torch import nn

from f2v_bench.modeling.audio_encoder import AudioFrontend
from f2v_bench.modeling.batch import Batch
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME
from f2v_bench.training.audio_checkpoint import PretrainedDecoder
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics, DecoderInputs, MelDecoder
from reference_model.model import FacesToVoices
from reference_model.prosody import build_contour_embedding, embed_contours
from reference_model.timbre import SpeakerFusion

HANDED_OVER = ("fusion", "prosody.embed", "upsample", "blocks", "norm", "mu", "flow")


class AudioAutoencoder(MelDecoder):
    """Speech to itself by the decoder of the reference model.

    Args:
        config: of the model.
        standard: of what is heard.
    """

    def __init__(self, config: FacesToVoicesConfig, standard: DataStatistics) -> None:
        super().__init__(config, standard)
        width = config.content.width
        self.hearing = AudioFrontend(config.listening, config.bottleneck, width, standard.mel)
        self.fusion = SpeakerFusion(width, config.timbre.speaker)
        self.prosody = nn.ModuleDict({"embed": build_contour_embedding(config.prosody, width)})  # its name in the model
        self.build_decoder()

    def condition(self, batch: Batch, *, teach: bool = False) -> DecoderInputs:
        """From a batch's ``mel``, ``speaker``, ``f0`` and ``energy``, true ones at all times."""
        mask = batch["mask"]
        fine = mask.repeat_interleave(MEL_FRAMES_PER_VIDEO_FRAME, 1)  # (B, 4 T)
        voiced = self.upsample(self.fusion(self.hearing(batch), batch["speaker"]), mask)
        embed = self.prosody["embed"]
        assert isinstance(embed, nn.Conv1d)
        return self.conditioned(voiced + embed_contours(self.targets(batch), fine, embed), fine, {})


def load_pretrained(pretrained: PretrainedDecoder, model: FacesToVoices) -> None:
    """Let a whole model begin with a decoder that has heard speech.

    Raises:
        F2VError: weights of another size.
    """
    for name in HANDED_OVER:
        pretrained.load_pretrained(model.get_submodule(name), f"{name}.")
