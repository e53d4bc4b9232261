"""Settings that all trained models share: lip encoder, speech units, vocoder and training stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from f2v_bench.errors import F2VError, suggest
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.layers.augment import AugmentConfig
from f2v_bench.nn.vocoders.config import VocoderConfig

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Steps, batch and optimizer of one training stage.

    Attributes:
        steps: optimizer steps.
        batch: clips per step and device.
        learning_rate: peak learning rate.
        floor: learning rate of the last step as a share of the peak; half a cosine leads there.
        warmup: steps from 0 to the peak.
        betas: betas of AdamW.
        weight_decay: decay of AdamW, on matrices alone.
        clip: largest norm of the gradient.
        ema: decay of the moving average of the weights, which validation and synthesis use.
        precision: ``bf16-mixed`` or ``32-true``, as in Lightning.
        validate_every: steps between two validations.
        validate_clips: clips of the validation split that are used.
    """

    steps: int = 10_000
    batch: int = 16
    learning_rate: float = 1e-3
    floor: float = 0.01
    warmup: int = 200
    betas: tuple[float, ...] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    validate_every: int = 1000
    validate_clips: int = 50


@dataclass(frozen=True, slots=True)
class UnitConfig:
    """Source of the speech units.

    Attributes:
        source: ``mfcc``, clusters fitted to the training clips, or ``hubert``, published ones of HuBERT Base.
        count: number of clusters.
        layer: layer of HuBERT.
        seed: seed of the clustering.
    """

    source: Literal["mfcc", "hubert"] = "mfcc"
    count: int = 100
    layer: int = 6
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LipEncoderTrainingConfig:
    """Training of the small lip encoder: augmentation, masking and losses.

    Attributes:
        augment: augmentation of the lip crops.
        mask_prob: share of frames that are masked.
        mask_length: frames of a masked span.
        masked_weight: weight of the loss on masked frames; 1 is that on visible ones.
        phoneme_weight: weight of the phonemes' loss; 1 is that of the units, 0 trains without transcripts.
        label_smoothing: smoothing of the labels.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "hidden": "mask_prob",
        "span": "mask_length",
        "hidden_weight": "masked_weight",
        "phones": "phoneme_weight",
        "smoothing": "label_smoothing",
    }

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    mask_prob: float = 0.25
    mask_length: int = 6
    masked_weight: float = 0.5
    phoneme_weight: float = 1.0
    label_smoothing: float = 0.1


@dataclass(frozen=True, slots=True)
class SharedConfig:
    """Base of every model's settings.

    Attributes:
        preset: name of the preset.
        lips: frozen lip encoder.
        units: speech units, which supervise the small lip encoder.
        vocoder: vocoder from mel to samples.
        lip_encoder_training: training of the small lip encoder.
        lips_stage, vocoder_stage, main_stage: steps and optimizers.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"teaching": "lip_encoder_training"}

    preset: str = "tiny"
    lips: LipEncoderConfig = field(default_factory=LipEncoderConfig)
    units: UnitConfig = field(default_factory=UnitConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    lip_encoder_training: LipEncoderTrainingConfig = field(default_factory=LipEncoderTrainingConfig)
    lips_stage: StageConfig = field(default_factory=StageConfig)
    vocoder_stage: StageConfig = field(default_factory=StageConfig)
    main_stage: StageConfig = field(default_factory=StageConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        """True for a model on features of the frozen lip encoder."""
        return True


_HIFIGAN = StageConfig(
    steps=500_000, batch=16, learning_rate=2e-4, betas=(0.8, 0.99), precision="32-true", validate_every=5000
)

#: official weights throughout; one or more GPUs and LRS3 or LRS2
PAPER = SharedConfig(
    lips=LipEncoderConfig(encoder="avhubert-large"),
    units=UnitConfig(source="hubert", count=200),
    vocoder_stage=_HIFIGAN,
)

#: trains on two CPU cores in an hour or two
TINY = SharedConfig(
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


def get_preset(presets: Mapping[str, C], name: str, model: str) -> C:
    """Return the settings of a model's preset.

    Args:
        presets: settings by name.
        name: name of the preset.
        model: title of the model, for the message.

    Raises:
        F2VError: no such preset.
    """
    if name not in presets:
        raise F2VError(f"{model} has no preset '{name}'", suggest(name, presets))
    return presets[name]
