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

from f2v_bench.training.hearing import Hearing
from f2v_bench.training.loader import Batch
from f2v_bench.training.pretrained import Pretrained
from f2v_bench.training.targets import MELS
from reference_model.conditioned import Condition, Conditioned, Standard
from reference_model.config import ReferenceConfig
from reference_model.model import ReferenceModel
from reference_model.prosody import contour_embedding, embedded
from reference_model.timbre import Fusion

HANDED_OVER = ("fusion", "prosody.embed", "upsample", "blocks", "norm", "mu", "flow")


class Retelling(Conditioned):
    """Speech to itself by the decoder of the reference model.

    Args:
        config: of the model.
        standard: of what is heard.
    """

    def __init__(self, config: ReferenceConfig, standard: Standard) -> None:
        super().__init__(config, standard)
        width = config.content.width
        self.hearing = Hearing(config.listening, config.bottleneck, width, standard.mel)
        self.fusion = Fusion(width, config.timbre.speaker)
        self.prosody = nn.ModuleDict({"embed": contour_embedding(config.prosody, width)})  # its name in the model
        self.build_decoder()

    def condition(self, batch: Batch, *, teach: bool = False) -> Condition:
        """From a batch's ``mel``, ``speaker``, ``f0`` and ``energy``, true ones at all times."""
        mask = batch["mask"]
        fine = mask.repeat_interleave(MELS, 1)  # (B, 4 T)
        voiced = self.upsample(self.fusion(self.hearing(batch), batch["speaker"]), mask)
        embed = self.prosody["embed"]
        assert isinstance(embed, nn.Conv1d)
        return self.conditioned(voiced + embedded(self.targets(batch), fine, embed), fine, {})


def hand_over(pretrained: Pretrained, model: ReferenceModel) -> None:
    """Let a whole model begin with a decoder that has heard speech.

    Raises:
        F2VError: weights of another size.
    """
    for name in HANDED_OVER:
        pretrained.hand_over(model.get_submodule(name), f"{name}.")
