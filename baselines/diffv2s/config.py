"""Settings and presets of DiffV2S. No code was published: choices where the paper is silent are this project's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig


@dataclass(frozen=True, slots=True)
class PromptEncoderConfig:
    """Transformer over video or audio features, with learned prompts that attend to them.

    Choices: all. The paper puts its prompts beside the frozen sequence of AV-HuBERT; here they go into a small
    transformer on top of its features, so that any frozen encoder can be used.

    Attributes:
        width: channels.
        blocks: transformer blocks.
        heads: attention heads.
        prompts: number of learned vectors beside the sequence.
        dropout: share of channels dropped.
    """

    width: int = 512
    blocks: int = 2
    heads: int = 4
    prompts: int = 4
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """Speaker embeddings of video and audio, trained with GE2E's by InfoNCE of the pairs.

    Choices: all but the pairs.

    Attributes:
        face_channels: channels of a face encoder's layers, whose vectors the prompts attend to beside the lips; none in
            the paper, where AV-HuBERT's features hold the identity. Those of the small lip encoder hardly do.
        face_frames: face crops of a training example, drawn from the clip's.
        temperature: temperature of InfoNCE.
        weight: weight of each of its four parts; 1 is that of the L1 of mels.
        audio_prob: share of training examples whose denoiser gets the audio's embedding instead of the video's, so that
            a recording can replace the face.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"faces": "face_channels", "pictures": "face_frames", "heard": "audio_prob"}

    face_channels: tuple[int, ...] = ()
    face_frames: int = 4
    temperature: float = 0.07
    weight: float = 0.1
    audio_prob: float = 0.1


@dataclass(frozen=True, slots=True)
class DenoiserConfig:
    """Transformer that predicts the clean mel. Width, blocks and heads of ``paper`` are the paper's.

    Choices: ``hidden``, ``dropout``, rotary positions, and the time embedding added to the input.

    Attributes:
        width: channels.
        blocks: transformer blocks.
        heads: attention heads.
        hidden: channels of the feed-forward layers.
        dropout: share of channels dropped.
    """

    width: int = 512
    blocks: int = 8
    heads: int = 4
    hidden: int = 2048
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """Diffusion process and its sampling. The number of time steps and the guidance of ``paper`` are the paper's.

    Choices: ``steps``, ``quantile``, and the cosine schedule.

    Attributes:
        num_timesteps: time steps of the diffusion, T.
        quantile: quantile of the corpus's mel values that becomes 1; the floor becomes -1, and louder values are cut.
        steps: steps of DDIM, each an evaluation of the denoiser.
        guidance: scale of the speaker guidance; 0 is none, and needs no gradients.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"times": "num_timesteps"}

    num_timesteps: int = 1000
    quantile: float = 0.9995
    steps: int = 50
    guidance: float = 1000.0


@dataclass(frozen=True, slots=True)
class DiffV2SConfig(SharedConfig):
    """Settings of the networks and of their training.

    Attributes:
        video: prompt encoder of lip features.
        audio: prompt encoder of mels.
        voice: speaker embeddings of both.
        denoiser: network from noise to mel.
        diffusion: schedule and sampling.
    """

    video: PromptEncoderConfig = field(default_factory=PromptEncoderConfig)
    audio: PromptEncoderConfig = field(default_factory=PromptEncoderConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)


#: AV-HuBERT Large, and the denoiser of the paper; one or more GPUs and LRS3 or LRS2
PAPER = DiffV2SConfig(
    preset="paper",
    lips=presets.PAPER.lips,
    units=presets.PAPER.units,
    vocoder_stage=presets.PAPER.vocoder_stage,
    main_stage=StageConfig(steps=200_000, batch=32, learning_rate=2e-4, warmup=4000, validate_every=5000),
)

#: trains on two CPU cores in half an hour, on the lip features and with the vocoder of the reference model
TINY = DiffV2SConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    video=PromptEncoderConfig(width=192, blocks=1),
    audio=PromptEncoderConfig(width=128, blocks=2),
    voice=VoiceConfig(face_channels=(24, 48, 96, 96)),
    denoiser=DenoiserConfig(width=256, blocks=4, hidden=768),
    diffusion=DiffusionConfig(steps=20),
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    main_stage=presets.TINY.main_stage,
)

PRESETS = {one.preset: one for one in (TINY, PAPER)}
