"""The three sizes of the reference model."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from f2v_bench.errors import F2VError, suggest
from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import StageConfig, UnitConfig
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.vocoders.build import VocoderConfig
from reference_model.config import Ablation, ContentConfig, FacesToVoicesConfig, FlowConfig, ProsodyConfig, TimbreConfig

_PAPER_STAGE = StageConfig(steps=200_000, batch=32, learning_rate=2e-4, warmup=4000, validate_every=5000)
_BASE_STAGE = StageConfig(steps=60_000, batch=32, learning_rate=5e-4, validate_every=2000)

#: official weights throughout; one or more GPUs and LRS3 or LRS2
PAPER = FacesToVoicesConfig(
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
BASE = FacesToVoicesConfig(
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
TINY = FacesToVoicesConfig(
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


def preset(name: str, ablate: str = "none") -> FacesToVoicesConfig:
    """The configuration of a preset, whole or with a part taken out.

    Raises:
        F2VError: no such preset or part.
    """
    found = presets.get_preset(PRESETS, name, "the reference model")
    parts: tuple[Ablation, ...] = get_args(Ablation)
    for part in parts:
        if part == ablate:
            return replace(found, ablate=part)
    raise F2VError(f"--ablate {ablate!r} is no part of the reference model", suggest(ablate, parts[1:]))
