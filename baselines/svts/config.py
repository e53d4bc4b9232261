"""Settings and presets of SVTS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig


@dataclass(frozen=True, slots=True)
class SVTSConfig(SharedConfig):
    """Settings of the network and of its training.

    Attributes:
        form: frame rates and vocoder. ``16khz``: 25 video frames and 100 mel frames a second of 16 kHz audio, and the
            vocoder that all models of the corpus share; ``24khz-pwg``, as published: 20 and 80 of 24 kHz audio, and a
            public Parallel WaveGAN, with ``frontend.kind`` ``resnet`` alone.
        frontend: visual frontend; ``resnet`` as in the paper.
        conformer: sizes of the Conformer on features and speaker embedding.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        convergence: weight of the spectral convergence; 1 is that of L1.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"front": "frontend"}
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"form": {"suite": "16khz", "pwg": "24khz-pwg"}}

    form: Literal["16khz", "24khz-pwg"] = "16khz"
    frontend: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    convergence: float = 1.0

    @property
    def uses_lip_encoder(self) -> bool:
        return self.frontend.kind == "frozen"

    @property
    def is_native(self) -> bool:
        """True for the published form: 20 video frames a second and 24 kHz."""
        return self.form == "24khz-pwg"


_PAPER = StageConfig(steps=150_000, batch=32, learning_rate=1e-3, warmup=15_000, validate_every=5000)

#: the paper's three sizes, trained on lip crops: 27.3, 43.1 and 87.6 million weights
S = SVTSConfig(
    preset="s", frontend=VisualFrontendConfig("resnet"), vocoder_stage=presets.PAPER.vocoder_stage, main_stage=_PAPER
)
M = replace(S, preset="m", conformer=ConformerConfig(blocks=12))
L = replace(M, preset="l", conformer=ConformerConfig(width=512, blocks=12, heads=8))

#: the same sizes in the published form, 24 kHz
S_PWG, M_PWG, L_PWG = (replace(one, preset=f"{one.preset}-pwg", form="24khz-pwg") for one in (S, M, L))

#: trains on two CPU cores in half an hour, on the lip features and with the vocoder of the reference model
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
