"""Settings and presets of Intelligible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """Vocoder from mel, units and speaker embedding.

    Choices: ``start``; sigma drawn per clip, where the official code draws one for the whole batch.

    Attributes:
        start: initial weights. ``scratch``, as in the official code; or ``shared-vocoder``, those of the vocoder of
            mels alone and its discriminators: new weights start at 0, so that few steps are enough and all systems
            sound alike.
        width: channels of the units, and of the speaker embedding, at the generator's input.
        dropout: share of the units' channels dropped in training.
        blur: bins and frames of the Gaussian that blurs the mel in training, odd; 1 leaves it as it is.
        sigma: smallest and largest deviation of the Gaussian, in bins and frames.
        noise: deviation of the noise that is added to the log mel in training.
    """

    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {
        "start": {"nothing": "scratch", "vocoder": "shared-vocoder"}
    }

    start: Literal["scratch", "shared-vocoder"] = "shared-vocoder"
    width: int = 128
    dropout: float = 0.1
    blur: int = 9
    sigma: tuple[float, ...] = (0.1, 1.0)
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class IntelligibleConfig(SharedConfig):
    """Settings of the networks and of their training.

    Choices: cross entropy is a mean over labels, where the official code sums over a clip, so that units weigh more.

    Attributes:
        frontend: visual frontend; both kinds are the paper's.
        conformer: sizes of the Conformer, at 50 frames a second.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        label_smoothing: smoothing of the unit labels.
        mel_weight: weight of L1 and spectral convergence; 1 is that of the units' cross entropy.
        units: units that are predicted with the mel, and that supervise the small lip encoder.
        vocoder: sizes, discriminators and losses of both vocoders.
        voice: inputs and training of the second vocoder.
        voice_stage: steps and optimizer of the second vocoder.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"front": "frontend", "smoothing": "label_smoothing"}

    frontend: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    label_smoothing: float = 0.1
    mel_weight: float = 10.0
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    voice_stage: StageConfig = field(default_factory=StageConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.frontend.kind == "frozen"


#: AV-HuBERT Large, frozen, and both stages as the official code runs them, there on eight devices
PAPER = IntelligibleConfig(
    preset="paper",
    lips=presets.PAPER.lips,
    conformer=ConformerConfig(width=512, blocks=12, heads=8),
    units=presets.PAPER.units,
    vocoder=replace(presets.PAPER.vocoder, segment=8960),
    voice=VoiceConfig(start="scratch"),
    voice_stage=replace(presets.PAPER.vocoder_stage, steps=1_000_000),
    main_stage=StageConfig(steps=50_000, batch=40, warmup=10_000, validate_every=2500),
)
#: the same with a ResNet trained on lip crops
SCRATCH = replace(
    PAPER,
    preset="scratch",
    frontend=VisualFrontendConfig("resnet"),
    main_stage=replace(PAPER.main_stage, steps=150_000),
)

#: trains on two CPU cores in half an hour, on the lip features and with the vocoder of the reference model
TINY = IntelligibleConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    conformer=ConformerConfig(blocks=3, hidden=512),
    units=presets.TINY.units,
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    voice_stage=StageConfig(
        steps=800, batch=16, learning_rate=3e-4, warmup=50, betas=(0.8, 0.99), ema=0.99, validate_every=200
    ),
    main_stage=presets.TINY.main_stage,
)

PRESETS = {one.preset: one for one in (TINY, PAPER, SCRATCH)}
