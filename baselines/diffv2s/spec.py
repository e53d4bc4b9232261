"""Declaration of DiffV2S."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.diffv2s.config import DiffusionConfig, DiffV2SConfig


def describe(config: DiffV2SConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    sizes, diffusion = config.denoiser, config.diffusion
    return {
        "denoiser": f"transformer, {sizes.blocks} x {sizes.width}",
        "speaker embedding from": "lip features and faces" if config.voice.face_channels else "lip features",
        "sampling": describe_sampling({"steps": diffusion.steps, "guidance": diffusion.guidance}),
    }


def describe_sampling(sampling: Mapping[str, Any]) -> str:
    """Return the sampling in words, with its cost."""
    cost = "each with its gradient" if sampling["guidance"] else "no gradients"
    steps, guidance = sampling["steps"], sampling["guidance"]
    return f"DDIM, {steps} evaluations of the denoiser, {cost}, speaker guidance {guidance:g}"


def check_sampling(diffusion: DiffusionConfig) -> None:
    """Refuse more DDIM steps than the diffusion has time steps."""
    from baselines.diffv2s.diffusion import ddim_timesteps

    ddim_timesteps(diffusion.num_timesteps, diffusion.steps)


SPEC = ModelSpec(
    name="diffv2s",
    title="DiffV2S",
    summary="DiffV2S: lips and a speaker embedding from the video to mel, by diffusion with speaker guidance",
    config="baselines.diffv2s.config:DiffV2SConfig",
    presets="baselines.diffv2s.config:PRESETS",
    model="baselines.diffv2s.model:DiffV2S",
    experiment="baselines.diffv2s.train:DiffV2SExperiment",
    synthesizer="baselines.diffv2s.synthesis:DiffV2SSynthesizer",
    voices=(SpeakerReference.FACE, SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    settings=("steps", "guidance"),
    sampling_group="diffusion",
    check_sampling=check_sampling,
    nfe=lambda config: int(config.diffusion.steps),
    describe=describe,
    describe_sampling=describe_sampling,
    renamed_keys=((r"^model\.denoiser\.seen_norm\.", "model.denoiser.visual_norm."),),
)
