"""Settings and presets of the reference model. A value that the paper does not give is a choice, and named here.

*From Faces to Voices* (CVPR 2025) describes the stages, their pre-trained encoders, OT-CFM and HiFi-GAN. Widths,
depths, kernels, loss weights, the rate of the units and the form of guidance are choices of this implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

from f2v_bench.errors import F2VError, suggest
from f2v_bench.modeling import shared_config as shared
from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig
from f2v_bench.modeling.shared_config import StageConfig, UnitConfig, get_preset
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.nn.vocoders.config import VocoderConfig

Ablation = Literal["none", "hierarchy", "timbre", "prosody"]


@dataclass(frozen=True, slots=True)
class ContentConfig:
    """Content stage: lip features to speech units.

    Attributes:
        width: channels of the whole visual encoder.
        blocks: number of Masked ConvBlocks.
        kernel: kernel of their depthwise convolutions, video frames, odd.
        mask: input hidden from the masked prediction: the frame itself (``center``) or random spans (``span``).
        mask_length: video frames of a masked span.
        mask_prob: share of video frames masked by spans.
        masked_weight: w in CE(full) + w CE(masked).
        weight: weight of the stage's loss.
        label_smoothing: smoothing of the unit labels.
        dropout: share of channels dropped in the blocks.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "hidden": "mask_prob",
        "span": "mask_length",
        "smoothing": "label_smoothing",
    }
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"mask": {"centre": "center"}}

    width: int = 192
    blocks: int = 4
    kernel: int = 9
    mask: Literal["center", "span"] = "center"
    mask_length: int = 5
    mask_prob: float = 0.3
    masked_weight: float = 0.5
    weight: float = 1.0
    label_smoothing: float = 0.1
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class TimbreConfig:
    """Timbre stage: face identity to the speaker space.

    Attributes:
        face: ``small``, a convolutional encoder trained with the model, or ``arcface``, frozen.
        channels: channels of the small encoder's layers.
        speaker: dimensions of the speaker space; 256 is GE2E's.
        audio_probability: share of training clips that get the embedding of their audio instead of the face's, so
            that an embedding of audio can replace the face.
        weight: weight of 1 - cosine.
        contrast_weight: weight of InfoNCE across the batch.
        temperature: temperature of InfoNCE.
        frames: video frames that the identity is averaged over.
    """

    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"face": {"stand-in": "small"}}

    face: Literal["small", "arcface"] = "small"
    channels: tuple[int, ...] = (24, 48, 96, 128)
    speaker: int = 256
    audio_probability: float = 0.3
    weight: float = 1.0
    contrast_weight: float = 0.1
    temperature: float = 0.1
    frames: int = 4


@dataclass(frozen=True, slots=True)
class ProsodyConfig:
    """Prosody stage: facial expression to pitch, voicing and energy contours.

    Attributes:
        size: pixels on a side of the gray face that the expression encoder takes.
        channels: channels of its convolutions.
        width: channels of the expression features.
        blocks: number of convolution blocks of the contour predictor.
        kernel: kernel of their convolutions, mel frames, odd.
        weight: weight of the contours' losses.
        dropout: share of channels dropped.
    """

    size: int = 56
    channels: tuple[int, ...] = (16, 32, 64)
    width: int = 64
    blocks: int = 4
    kernel: int = 5
    weight: float = 1.0
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class ConditionConfig:
    """Convolution blocks of the mel decoder before the prior and the flow.

    Attributes:
        blocks: number of convolution blocks at mel rate.
        kernel: kernel of their convolutions, mel frames, odd.
        dropout: share of channels dropped.
    """

    blocks: int = 2
    kernel: int = 7
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """OT-CFM part of the mel decoder.

    Attributes:
        decoder: velocity net: ``unet``, a 1-D U-Net with transformer blocks, or ``dit``, a diffusion transformer.
        width: channels.
        depth: levels of the U-Net below the first, or blocks of the DiT.
        blocks: transformer blocks at each level of the U-Net.
        heads: attention heads.
        dropout: share of channels dropped.
        sigma_min: s in x_t = (1 - (1 - s) t) x_0 + t x_1.
        condition_dropout: share of training clips without mu and features, for classifier-free guidance.
        prior_weight: weight of the squared error between mu and the mel.
        guidance: scale s of v_u + s (v_c - v_u); 1 is the conditional field alone.
        solver: ODE solver.
        steps: number of steps of a fixed-step solver.
        temperature: standard deviation of x_0 at synthesis.
        segment: mel frames per clip in a training step of the flow; 0 takes all.
    """

    decoder: Literal["unet", "dit"] = "unet"
    width: int = 192
    depth: int = 1
    blocks: int = 1
    heads: int = 4
    dropout: float = 0.05
    sigma_min: float = 1e-4
    condition_dropout: float = 0.1
    prior_weight: float = 1.0
    guidance: float = 2.0
    solver: Literal["euler", "midpoint", "heun", "dopri5", "bosh3", "adaptive_heun"] = "euler"
    steps: int = 10
    temperature: float = 1.0
    segment: int = 0


@dataclass(frozen=True, slots=True)
class FacesToVoicesConfig(AudioPretrainingConfig):
    """Settings of the reference model and its training, beside the shared ones.

    Attributes:
        preset: name of the preset that the values come from.
        ablate: part that is left out, as in the paper's ablations.
        content, timbre, prosody, condition, flow: settings of the parts.
        transfer: ``init`` initializes the decoder with one pre-trained on audio; ``scratch`` at random, as the paper.
        audio_encoder: encoder of the audio autoencoder.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {**AudioPretrainingConfig.RENAMED, "listening": "audio_encoder"}

    preset: str = "base"
    ablate: Ablation = "none"
    content: ContentConfig = field(default_factory=ContentConfig)
    timbre: TimbreConfig = field(default_factory=TimbreConfig)
    prosody: ProsodyConfig = field(default_factory=ProsodyConfig)
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    transfer: Literal["scratch", "init"] = "scratch"
    audio_encoder: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=2, hidden=512, kernel=15))


_PAPER_STAGE = StageConfig(steps=200_000, batch=32, learning_rate=2e-4, warmup=4000, validate_every=5000)
_BASE_STAGE = StageConfig(steps=60_000, batch=32, learning_rate=5e-4, validate_every=2000)

#: official weights throughout; one or more GPUs and LRS3 or LRS2
PAPER = FacesToVoicesConfig(
    preset="paper",
    lips=shared.PAPER.lips,
    units=shared.PAPER.units,
    content=ContentConfig(width=512, blocks=8, kernel=15),
    timbre=TimbreConfig(face="arcface"),
    prosody=ProsodyConfig(channels=(32, 64, 128), width=128),
    flow=FlowConfig(width=384, depth=2, blocks=2, segment=0),
    audio_stage=_PAPER_STAGE,
    main_stage=_PAPER_STAGE,
    vocoder_stage=shared.PAPER.vocoder_stage,
)

#: everything trained from scratch on an open corpus; one GPU
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

#: trained on two CPU cores in an hour or two; its weights come with the project
TINY = FacesToVoicesConfig(
    preset="tiny",
    lips=shared.TINY.lips,
    content=ContentConfig(width=192, blocks=4),
    timbre=TimbreConfig(channels=(24, 48, 96, 96)),
    flow=FlowConfig(width=160, depth=1, blocks=1, segment=128, steps=4, guidance=1.0, temperature=0.7),
    vocoder=shared.TINY.vocoder,
    lips_stage=shared.TINY.lips_stage,
    audio_stage=shared.TINY.main_stage,
    main_stage=shared.TINY.main_stage,
    vocoder_stage=shared.TINY.vocoder_stage,
)

PRESETS = {preset.preset: preset for preset in (PAPER, BASE, TINY)}


def preset(name: str, ablate: str = "none") -> FacesToVoicesConfig:
    """Return the configuration of a preset, whole or without a part.

    Raises:
        F2VError: no such preset or part.
    """
    config = get_preset(PRESETS, name, "the reference model")
    parts: tuple[Ablation, ...] = get_args(Ablation)
    for part in parts:
        if part == ablate:
            return replace(config, ablate=part)
    raise F2VError(f"--ablate {ablate!r} is no part of the reference model", suggest(ablate, parts[1:]))
