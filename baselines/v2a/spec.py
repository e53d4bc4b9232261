"""Declarations of V2A-MelSpec and V2A-WaveGAN."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from f2v_bench.modeling.spec import MODEL, ModelSpec
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.v2a.config import V2AConfig


def origin(config: V2AConfig) -> str:
    """Return where the decoder's weights come from, in words."""
    mode = config.transfer.mode
    return "decoder from scratch" if mode == "scratch" else config.pretraining.describe(mode)


def describe(config: V2AConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    sizes = config.conformer
    return {
        "front end": config.frontend.kind,
        "decoder": f"Conformer, {sizes.blocks} x {sizes.width}, batch norm {config.domain_norm}",
        "transfer": origin(config),
    }


MEL_SPEC = ModelSpec(
    name="v2a-mel",
    title="V2A-MelSpec",
    summary="V2A-MelSpec: SVTS with a decoder that was pre-trained on audio",
    config="baselines.v2a.config:MelConfig",
    presets="baselines.v2a.config:MEL_PRESETS",
    model="baselines.v2a.model:V2A",
    experiment="baselines.v2a.train:V2AMelExperiment",
    voices=(SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    provenance=lambda config: f", {origin(config)}",
    describe=describe,
    renamed_keys=((r"^model\.encoder\.front\.", "model.encoder.frontend."),),
)

#: predicts samples, so that it has no vocoder
WAVE_SPEC = replace(
    MEL_SPEC,
    name="v2a-wave",
    title="V2A-WaveGAN",
    summary="V2A-WaveGAN: lips and a speaker embedding straight to samples, by a decoder pre-trained on audio",
    config="baselines.v2a.config:WaveConfig",
    presets="baselines.v2a.config:WAVE_PRESETS",
    experiment="baselines.v2a.train:V2AWaveExperiment",
    stages=("lips", "decoder"),
    waveform="baselines.v2a.decoders:to_waveform",
    vocoder_part=MODEL,
    vocoder_name=lambda _config: "its own decoder",
    sample_rate=lambda config: int(config.sample_rate),
)
