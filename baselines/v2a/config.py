"""Every choice of V2A-MelSpec and V2A-WaveGAN in one tree, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig, BottleneckConfig
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.nn.layers.domain_batchnorm import Form
from f2v_bench.nn.vocoders.build import VocoderConfig

How = Literal["scratch", "init", "init+frozen", "frozen-then-unfrozen", "low-lr", "joint"]


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """What becomes of the pre-trained decoder when it is told of lips.

    Attributes:
        how: ``scratch``, nothing: it begins anew; ``init``, it is gone on with; ``init+frozen``, it stays as it is,
            but for what the video domain has of its own in its batch norms; ``frozen-then-unfrozen``, so up to a step;
            ``low-lr``, it learns more slowly than the rest; ``joint``, it is taught by the audio autoencoder too.
        unfreeze_at: step from which ``frozen-then-unfrozen`` trains it.
        rate: share of the learning rate that ``low-lr`` leaves it.
        audio_weight: of the autoencoder's loss in ``joint``.
    """

    how: How = "init"
    unfreeze_at: int = 500
    rate: float = 0.1
    audio_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class V2AConfig(AudioPretrainingConfig):
    """Sizes of the networks and how they are trained, what both systems share.

    Attributes:
        preset: whose values these are.
        front: what it looks with.
        lips: the frozen encoder, where it is used.
        watching: Conformer of the video encoder, beyond the front end; 0 blocks leave it out. Choice.
        listening: Conformer of the audio encoder. Choice.
        conformer: of the decoder, from what an encoder says and a voice.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        norms: what the audio and the video domain have of their own in the decoder's batch norms.
        bottleneck: of the audio autoencoder.
        pretraining: what it hears.
        transfer: of its decoder.
        units: that teach the frozen encoder.
        teaching: of the frozen encoder.
        vocoder: from mel to samples.
        lips_stage, vocoder_stage, audio_stage, main_stage: steps and optimisers; where the decoder says samples,
            rate, betas and decay of ``vocoder_stage`` are those of its critics.
    """

    front: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    watching: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=1))
    listening: ConformerConfig = field(default_factory=lambda: ConformerConfig(blocks=2))
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    norms: Form = "separate-stats+affine"
    transfer: TransferConfig = field(default_factory=TransferConfig)
    main_stage: StageConfig = field(default_factory=StageConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.front.kind == "frozen"


@dataclass(frozen=True, slots=True)
class MelConfig(V2AConfig):
    """V2A-MelSpec: a decoder that says mels, taught as SVTS is.

    Attributes:
        convergence: weight of the spectral convergence beside L1.
    """

    convergence: float = 1.0


_PAPER_STAGE = StageConfig(steps=150_000, batch=32, learning_rate=1e-3, warmup=15_000, validate_every=5000)
_SMALL = ConformerConfig(blocks=1, hidden=512, kernel=15)

#: SVTS-S with a decoder that has heard speech, 27.3 million weights; no bottleneck, since the paper's is not known
MEL_PAPER = MelConfig(
    preset="paper",
    front=VisualFrontendConfig("resnet"),
    watching=ConformerConfig(blocks=0),
    bottleneck=BottleneckConfig("none"),
    vocoder_stage=presets.PAPER.vocoder_stage,
    audio_stage=_PAPER_STAGE,
    main_stage=_PAPER_STAGE,
)

#: two CPU cores train it in less than an hour, on the lip features and with the vocoder of the reference model's own
MEL_TINY = MelConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    watching=_SMALL,
    listening=replace(_SMALL, blocks=2),
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
    """V2A-WaveGAN: a decoder that says samples, taught by spectra and by critics.

    The group ``vocoder`` is its generator, which is trained with it and has no stage of its own. ``hifigan`` is a
    transposed-convolution generator from the decoder's 25 Hz: its factors make the samples of a video frame. ``istft``
    filters pulses and noise in 80 channels at 100 Hz, which it takes for a mel. Critics of waveforms are ``periods``
    and ``scales``, critics of power ``resolutions``, both with least squares and feature matching. Choices: the
    residual blocks, the critics' form, and L1 of log mels beside the multi-resolution STFT loss.

    Attributes:
        rate: of its samples, Hz, a multiple of 100; corpora and their targets have 16 kHz, the paper 24 kHz.
    """

    rate: int = 16_000


_CRITICS = VocoderConfig(
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

#: 24 kHz, 960 samples a video frame by factors of 8, 6, 5 and 4, from pictures
WAVE_PAPER = WaveConfig(
    preset="paper",
    front=VisualFrontendConfig("resnet"),
    watching=ConformerConfig(blocks=0),
    bottleneck=BottleneckConfig("none"),
    vocoder=_CRITICS,
    vocoder_stage=_ADVERSARIAL,
    audio_stage=_ADVERSARIAL,
    main_stage=_ADVERSARIAL,
    rate=24_000,
)

#: two CPU cores train it in an hour. Choice: pulses and noise; transposed convolutions cost a CPU twice as much for as
#: many weights, and are far from periodic vowels by then
WAVE_TINY = WaveConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    watching=_SMALL,
    listening=replace(_SMALL, blocks=2),
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
