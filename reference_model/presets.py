"""The three sizes of the reference model."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from f2v_bench.errors import F2VError, suggest
from f2v_bench.nn.lips import LipEncoderConfig
from f2v_bench.nn.vocoder import VocoderConfig
from f2v_bench.training import presets
from f2v_bench.training.stage import StageConfig
from f2v_bench.training.units import UnitConfig
from reference_model.config import Ablation, ContentConfig, FlowConfig, ProsodyConfig, ReferenceConfig, TimbreConfig

_PAPER_STAGE = StageConfig(steps=200_000, batch=32, learning_rate=2e-4, warmup=4000, validate_every=5000)
_BASE_STAGE = StageConfig(steps=60_000, batch=32, learning_rate=5e-4, validate_every=2000)

#: official weights throughout; one or more GPUs and LRS3 or LRS2
PAPER = ReferenceConfig(
    preset="paper",
    lips=presets.PAPER.lips,
    units=presets.PAPER.units,
    content=ContentConfig(width=512, blocks=8, kernel=15),
    timbre=TimbreConfig(face="arcface"),
    prosody=ProsodyConfig(channels=(32, 64, 128), width=128),
    flow=FlowConfig(width=384, depth=2, blocks=2, segment=0),
    audio_stage=_PAPER_STAGE,
    main_stage=_PAPER_STAGE,
    vocoder_stage=presets.PAPER.vocoder_stage,
)

#: everything trained from nothing on an open corpus; one GPU
BASE = ReferenceConfig(
    preset="base",
    lips=LipEncoderConfig(size=80, channels=(32, 64, 128, 256), width=384, layers=6, heads=6),
    units=UnitConfig(count=200),
    content=ContentConfig(width=384, blocks=6),
    prosody=ProsodyConfig(channels=(32, 64, 128), width=128),
    flow=FlowConfig(width=320, depth=2, blocks=1, segment=256),
    vocoder=VocoderConfig(channels=256),
    lips_stage=StageConfig(steps=40_000, batch=32, validate_every=2000),
    audio_stage=_BASE_STAGE,
    main_stage=_BASE_STAGE,
    vocoder_stage=StageConfig(
        steps=200_000, batch=32, learning_rate=2e-4, betas=(0.8, 0.99), precision="32-true", validate_every=5000
    ),
)

#: two CPU cores train it in an hour or two; its weights ship with the project
TINY = ReferenceConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    content=ContentConfig(width=192, blocks=4),
    timbre=TimbreConfig(channels=(24, 48, 96, 96)),
    flow=FlowConfig(width=160, depth=1, blocks=1, segment=128, steps=4, guidance=1.0, temperature=0.7),
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    audio_stage=presets.TINY.main_stage,
    main_stage=presets.TINY.main_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
)

PRESETS = {preset.preset: preset for preset in (PAPER, BASE, TINY)}


def preset(name: str, ablate: str = "none") -> ReferenceConfig:
    """The configuration of a preset, whole or with a part taken out.

    Raises:
        F2VError: no such preset or part.
    """
    found = presets.chosen(PRESETS, name, "the reference model")
    parts: tuple[Ablation, ...] = get_args(Ablation)
    for part in parts:
        if part == ablate:
            return replace(found, ablate=part)
    raise F2VError(f"--ablate {ablate!r} is no part of the reference model", suggest(ablate, parts[1:]))
