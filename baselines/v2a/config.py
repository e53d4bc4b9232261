"""Settings and presets of V2A-MelSpec and V2A-WaveGAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig, BottleneckConfig
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.nn.layers.domain_batchnorm import Form
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.timing import SAMPLE_RATE

TransferMode = Literal["scratch", "init", "init+frozen", "frozen-then-unfrozen", "low-lr", "joint"]


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Use of the pre-trained decoder in the training on lips.

    Attributes:
        mode: ``scratch``, random weights instead; ``init``, initial weights; ``init+frozen``, frozen weights, except
            the video domain's own in its batch norms; ``frozen-then-unfrozen``, the same up to a step; ``low-lr``, a
            smaller learning rate than the rest; ``joint``, the loss of the audio autoencoder is added.
        unfreeze_at: step from which ``frozen-then-unfrozen`` trains it.
        lr_scale: learning rate of ``low-lr`` as a share of the others'.
        audio_weight: weight of the autoencoder's loss in ``joint``.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"how": "mode", "rate": "lr_scale"}

    mode: TransferMode = "init"
    unfreeze_at: int = 500
    lr_scale: float = 0.1
    audio_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class V2AConfig(AudioPretrainingConfig):
    """Settings of the networks and of their training that both systems share.

    Attributes:
        frontend: visual frontend.
        video_encoder: Conformer of the video encoder, after the frontend; 0 blocks leave it out. Choice.
        audio_encoder: Conformer of the audio encoder. Choice.
        conformer: Conformer of the decoder, on z and speaker embedding.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        domain_norm: parts of the decoder's batch norms that the audio and the video domain do not share.
        transfer: use of the pre-trained decoder.
        vocoder_stage: learning rate, betas and decay of the discriminators of a decoder that predicts samples.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "front": "frontend",
        "watching": "video_encoder",
        "listening": "audio_encoder",
        "norms": "domain_norm",
    }

    frontend: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    video_encoder: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=1))
    audio_encoder: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=2))
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    domain_norm: Form = "separate-stats+affine"
    transfer: TransferConfig = field(default_factory=TransferConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.frontend.kind == "frozen"


@dataclass(frozen=True, slots=True)
class MelConfig(V2AConfig):
    """Settings of V2A-MelSpec, whose decoder predicts mels and is trained as SVTS.

    Attributes:
        convergence: weight of the spectral convergence; 1 is that of L1.
    """

    convergence: float = 1.0


_PAPER_STAGE = StageConfig(steps=150_000, batch=32, learning_rate=1e-3, warmup=15_000, validate_every=5000)
_SMALL = ConformerConfig(blocks=1, hidden=512, kernel=15)

#: SVTS-S with an audio-pretrained decoder, 27.3 million weights; no bottleneck, since the paper's is not known
MEL_PAPER = MelConfig(
    preset="paper",
    frontend=VisualFrontendConfig("resnet"),
    video_encoder=ConformerConfig(blocks=0),
    bottleneck=BottleneckConfig("none"),
    vocoder_stage=presets.PAPER.vocoder_stage,
    audio_stage=_PAPER_STAGE,
    main_stage=_PAPER_STAGE,
)

#: trains on two CPU cores in less than an hour, on the lip features and with the vocoder of the reference model
MEL_TINY = MelConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    video_encoder=_SMALL,
    audio_encoder=replace(_SMALL, blocks=2),
    conformer=replace(_SMALL, blocks=3),
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    audio_stage=presets.TINY.main_stage,
    main_stage=presets.TINY.main_stage,
)

MEL_PRESETS = {one.preset: one for one in (MEL_TINY, MEL_PAPER)}


@dataclass(frozen=True, slots=True)
class WaveConfig(V2AConfig):
    """Settings of V2A-WaveGAN, whose decoder predicts samples with spectral and adversarial losses.

    The group ``vocoder`` is its generator, which is trained with it and has no stage of its own. ``hifigan`` is a
    transposed-convolution generator from the decoder's 25 Hz: its factors make the samples of a video frame. ``istft``
    filters pulses and noise by 80 channels at 100 Hz in place of a mel. Discriminators of waveforms are ``periods`` and
    ``scales``, discriminators of power spectra ``resolutions``, all with least squares and feature matching. Choices:
    the residual blocks, the discriminators' form, and L1 of log mels beside the multi-resolution STFT loss.

    Attributes:
        sample_rate: Hz of the samples, a multiple of 100; corpora and their targets have 16 kHz, the paper 24 kHz.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"rate": "sample_rate"}

    sample_rate: int = SAMPLE_RATE


_GENERATOR = VocoderConfig(
    channels=512,
    upsample=(8, 6, 5, 4),
    upsample_kernels=(16, 12, 11, 8),
    mel_weight=45.0,
    spectral_weight=1.0,
    spectral_sizes=(512, 1024, 2048),
    resolutions=(512, 1024, 2048),
    scales=0,
    segment=15_360,
)
_ADVERSARIAL = replace(presets.PAPER.vocoder_stage, steps=500_000, batch=32, warmup=5000)

#: 24 kHz, 960 samples a video frame by factors of 8, 6, 5 and 4, from lip crops
WAVE_PAPER = WaveConfig(
    preset="paper",
    frontend=VisualFrontendConfig("resnet"),
    video_encoder=ConformerConfig(blocks=0),
    bottleneck=BottleneckConfig("none"),
    vocoder=_GENERATOR,
    vocoder_stage=_ADVERSARIAL,
    audio_stage=_ADVERSARIAL,
    main_stage=_ADVERSARIAL,
    sample_rate=24_000,
)

#: trains on two CPU cores in an hour. Choice: pulses and noise; transposed convolutions cost a CPU twice as much for as
#: many weights, and are far from periodic vowels by then
WAVE_TINY = WaveConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    video_encoder=_SMALL,
    audio_encoder=replace(_SMALL, blocks=2),
    conformer=replace(_SMALL, blocks=2),
    vocoder=replace(
        presets.TINY.vocoder, width=128, blocks=6, hidden=384, periods=(2, 3), resolutions=(512,), segment=7680
    ),
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    audio_stage=presets.TINY.main_stage,
    main_stage=presets.TINY.main_stage,
)

WAVE_PRESETS = {one.preset: one for one in (WAVE_TINY, WAVE_PAPER)}
