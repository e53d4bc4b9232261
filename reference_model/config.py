"""Every choice of the reference model in one tree. What the paper does not say is our choice, and is named here.

*From Faces to Voices* (CVPR 2025) describes the stages, their pre-trained encoders, OT-CFM and HiFi-GAN; widths,
depths, kernels, loss weights, the rate of the units and the form of guidance are choices of this implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig
from f2v_bench.nn.layers.conformer import ConformerConfig

Ablation = Literal["none", "hierarchy", "timbre", "prosody"]


@dataclass(frozen=True, slots=True)
class ContentConfig:
    """Lip features to speech units.

    Attributes:
        width: channels of the whole visual encoder.
        blocks: Masked ConvBlocks.
        kernel: of their depthwise convolutions, video frames, odd.
        mask: what the masked prediction does not see: the frame itself (``center``) or random spans (``span``).
        span: frames of a hidden span.
        hidden: share of frames hidden by spans.
        masked_weight: w in CE(full) + w CE(masked).
        weight: of the stage's loss.
        smoothing: of the labels.
        dropout: share of channels dropped in the blocks.
    """

    width: int = 192
    blocks: int = 4
    kernel: int = 9
    mask: Literal["centre", "span"] = "centre"
    span: int = 5
    hidden: float = 0.3
    masked_weight: float = 0.5
    weight: float = 1.0
    smoothing: float = 0.1
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class TimbreConfig:
    """Face identity to the speaker space.

    Attributes:
        face: ``stand-in``, a small convolutional encoder trained with the model, or ``arcface``, frozen.
        channels: of the stand-in's layers.
        speaker: dimensions of the speaker space; 256 is GE2E's.
        audio_probability: how often training takes the voice's own embedding instead of the face's, so that an
            embedding of audio can replace the face.
        weight: of 1 - cosine.
        contrast_weight: of InfoNCE across the batch.
        temperature: of InfoNCE.
        frames: of the clip that the identity is averaged over.
    """

    face: Literal["stand-in", "arcface"] = "stand-in"
    channels: tuple[int, ...] = (24, 48, 96, 128)
    speaker: int = 256
    audio_probability: float = 0.3
    weight: float = 1.0
    contrast_weight: float = 0.1
    temperature: float = 0.1
    frames: int = 4


@dataclass(frozen=True, slots=True)
class ProsodyConfig:
    """Facial expression to pitch, voicing and energy contours.

    Attributes:
        size: pixels on a side of the grey face that the expression encoder sees.
        channels: of its convolutions.
        width: of the expression features.
        blocks: convolution blocks of the contour predictor.
        kernel: of their convolutions, mel frames, odd.
        weight: of the contours' losses.
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
    """From content, timbre and prosody to what the decoder is conditioned on.

    Attributes:
        blocks: convolution blocks at mel rate.
        kernel: of their convolutions, mel frames, odd.
        dropout: share of channels dropped.
    """

    blocks: int = 2
    kernel: int = 7
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """The OT-CFM decoder.

    Attributes:
        decoder: ``unet``, a 1-D U-Net with transformer blocks, or ``dit``, a diffusion transformer.
        width: channels.
        depth: levels of the U-Net below the first, or blocks of the DiT.
        blocks: transformer blocks at each level of the U-Net.
        heads: of attention.
        dropout: share of channels dropped.
        sigma_min: s in x_t = (1 - (1 - s) t) x_0 + t x_1.
        condition_dropout: how often training hides mu and the features.
        prior_weight: of the loss that draws mu to the mel.
        guidance: scale s of v_u + s (v_c - v_u); 1 is the conditional field alone.
        solver: of the ODE.
        steps: of a fixed-step solver.
        temperature: standard deviation of x_0 at synthesis.
        segment: mel frames of each clip that a training step of the decoder sees; 0 is all.
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
    """The reference model and its training.

    Attributes:
        preset: where the values come from.
        ablate: which part is taken out, as in the paper's ablations.
        lips, units, content, timbre, prosody, condition, flow, vocoder: the parts.
        teaching: what the lip encoder is taught with.
        transfer: ``init`` lets the decoder begin with what it has learned of sound alone; ``scratch`` with nothing, as
            the paper does.
        listening, bottleneck, pretraining: what it is pre-trained with, and on.
        lips_stage, audio_stage, main_stage, vocoder_stage: how each is trained.
    """

    preset: str = "base"
    ablate: Ablation = "none"
    content: ContentConfig = field(default_factory=ContentConfig)
    timbre: TimbreConfig = field(default_factory=TimbreConfig)
    prosody: ProsodyConfig = field(default_factory=ProsodyConfig)
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    transfer: Literal["scratch", "init"] = "scratch"
    listening: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=2, hidden=512, kernel=15))
