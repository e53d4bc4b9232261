"""Sizes of what every model trained here stands on, so that a comparison is one of models: lip encoder and vocoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from f2v_bench.errors import F2VError, suggest
from f2v_bench.nn.lips import LipEncoderConfig
from f2v_bench.nn.vocoder import VocoderConfig
from f2v_bench.training.stage import StageConfig
from f2v_bench.training.units import UnitConfig

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Ground:
    """Lip encoder, units that teach it, vocoder, and how both and the model on them are trained.

    Attributes:
        lips: the frozen encoder.
        units: clusters of sound.
        vocoder: from mel to samples.
        lips_stage, vocoder_stage, main_stage: steps and optimisers.
    """

    lips: LipEncoderConfig = field(default_factory=LipEncoderConfig)
    units: UnitConfig = field(default_factory=UnitConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    lips_stage: StageConfig = field(default_factory=StageConfig)
    vocoder_stage: StageConfig = field(default_factory=StageConfig)
    main_stage: StageConfig = field(default_factory=StageConfig)


_HIFIGAN = StageConfig(
    steps=500_000, batch=16, learning_rate=2e-4, betas=(0.8, 0.99), precision="32-true", validate_every=5000
)

#: official weights throughout; one or more GPUs and LRS3 or LRS2
PAPER = Ground(
    lips=LipEncoderConfig(encoder="avhubert-large"),
    units=UnitConfig(source="hubert", count=200),
    vocoder_stage=_HIFIGAN,
)

#: two CPU cores train it in an hour or two
TINY = Ground(
    lips=LipEncoderConfig(field=68, size=48, channels=(24, 32, 64, 96), width=192, layers=3),
    vocoder=VocoderConfig(
        generator="istft",
        width=192,
        blocks=8,
        hidden=576,
        mel_weight=45.0,
        spectral_weight=1.0,
        adversarial_from=1200,
        discriminator_width=0.125,
        scales=0,
        periods=(2, 3, 5),
    ),
    lips_stage=StageConfig(steps=4000, batch=16, weight_decay=0.05, ema=0.998, validate_every=500),
    vocoder_stage=StageConfig(steps=2400, batch=16, betas=(0.8, 0.99), validate_every=500),
    main_stage=StageConfig(steps=2000, batch=16, ema=0.998, validate_every=500),
)


def chosen(presets: Mapping[str, C], name: str, model: str) -> C:
    """The configuration of a model's preset.

    Raises:
        F2VError: no such preset.
    """
    if name not in presets:
        raise F2VError(f"{model} has no preset '{name}'", suggest(name, presets))
    return presets[name]
