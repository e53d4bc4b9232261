"""Every choice of SVTS in one tree, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig


@dataclass(frozen=True, slots=True)
class SVTSConfig(SharedConfig):
    """Sizes of the network, and how it is trained.

    Attributes:
        preset: whose values these are.
        form: what is seen and said. ``suite``: 25 video frames and 100 mel frames a second of 16 kHz sound, and the
            vocoder that every model of the corpus shares; ``pwg``, as published: 20 and 80 of 24 kHz sound, and a
            public Parallel WaveGAN, with ``front.kind`` ``resnet`` alone.
        front: what it looks with; ``resnet`` as in the paper.
        lips: the frozen encoder, where it is used.
        conformer: from features and voice to what the mel is read from.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        convergence: weight of the spectral convergence beside L1.
        units: that teach the frozen encoder.
        teaching: of the frozen encoder.
        vocoder: from mel to samples.
        lips_stage, vocoder_stage, main_stage: steps and optimisers.
    """

    form: Literal["suite", "pwg"] = "suite"
    front: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    convergence: float = 1.0
    main_stage: StageConfig = field(default_factory=StageConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.front.kind == "frozen"

    @property
    def is_native(self) -> bool:
        """True for the published form: 20 video frames a second and 24 kHz."""
        return self.form == "pwg"


_PAPER = StageConfig(steps=150_000, batch=32, learning_rate=1e-3, warmup=15_000, validate_every=5000)

#: the paper's three sizes, trained from pictures: 27.3, 43.1 and 87.6 million weights
S = SVTSConfig(
    preset="s", front=VisualFrontendConfig("resnet"), vocoder_stage=presets.PAPER.vocoder_stage, main_stage=_PAPER
)
M = replace(S, preset="m", conformer=ConformerConfig(blocks=12))
L = replace(M, preset="l", conformer=ConformerConfig(width=512, blocks=12, heads=8))

#: the same sizes in the form in which the paper hears and speaks
S_PWG, M_PWG, L_PWG = (replace(one, preset=f"{one.preset}-pwg", form="pwg") for one in (S, M, L))

#: two CPU cores train it in half an hour, on the lip features and with the vocoder of the reference model's own
TINY = SVTSConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    conformer=ConformerConfig(blocks=4, hidden=512, kernel=15),
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    main_stage=presets.TINY.main_stage,
)

PRESETS = {one.preset: one for one in (TINY, S, M, L, S_PWG, M_PWG, L_PWG)}
