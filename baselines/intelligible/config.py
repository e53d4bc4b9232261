"""Every choice of Intelligible in one tree, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """The vocoder that takes mel, units and voice.

    Choices: ``start``; sigma drawn a clip, where the official code draws one for the whole batch.

    Attributes:
        start: ``nothing``, as the official code; or ``vocoder``, the weights of the one that takes mels alone, with its
            discriminators: what is new begins at 0, so that few steps are enough and systems have one voice.
        width: channels of the units, and of the voice, as the generator takes them.
        dropout: share of the units' channels dropped in training.
        blur: bins and frames of the Gaussian that blurs the mel in training, odd; 1 leaves it as it is.
        sigma: least and largest of the Gaussian, in bins and frames.
        noise: deviation of what is added to the log mel in training.
    """

    start: Literal["nothing", "vocoder"] = "vocoder"
    width: int = 128
    dropout: float = 0.1
    blur: int = 9
    sigma: tuple[float, ...] = (0.1, 1.0)
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class IntelligibleConfig(SharedConfig):
    """Sizes of the networks, and how they are trained.

    Choices: cross entropy is a mean over labels, where the official code sums a clip's, so that units weigh more there.

    Attributes:
        preset: whose values these are.
        front: what it looks with; both kinds are the paper's.
        lips: the frozen encoder, where it is used.
        conformer: from features to what units and mel are read from, 50 frames a second.
        speaker: dimensions of the speaker embedding, GE2E's 256.
        smoothing: of the unit labels.
        mel_weight: of L1 and spectral convergence beside the units' cross entropy.
        units: what is predicted beside the mel, and what teaches the frozen encoder.
        teaching: of the frozen encoder.
        vocoder: from mel to samples: sizes, discriminators and losses of both vocoders.
        voice: what the second vocoder takes beside the mel.
        lips_stage, vocoder_stage, voice_stage, main_stage: steps and optimisers.
    """

    front: VisualFrontendConfig = field(default_factory=VisualFrontendConfig)
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    speaker: int = 256
    smoothing: float = 0.1
    mel_weight: float = 10.0
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    voice_stage: StageConfig = field(default_factory=StageConfig)
    main_stage: StageConfig = field(default_factory=StageConfig)

    @property
    def uses_lip_encoder(self) -> bool:
        return self.front.kind == "frozen"


#: AV-HuBERT Large, frozen, and both stages as the official code runs them, there on eight devices
PAPER = IntelligibleConfig(
    preset="paper",
    lips=presets.PAPER.lips,
    conformer=ConformerConfig(width=512, blocks=12, heads=8),
    units=presets.PAPER.units,
    vocoder=replace(presets.PAPER.vocoder, segment=8960),
    voice=VoiceConfig(start="nothing"),
    voice_stage=replace(presets.PAPER.vocoder_stage, steps=1_000_000),
    main_stage=StageConfig(steps=50_000, batch=40, warmup=10_000, validate_every=2500),
)
#: the same with a ResNet trained on pictures
SCRATCH = replace(
    PAPER, preset="scratch", front=VisualFrontendConfig("resnet"), main_stage=replace(PAPER.main_stage, steps=150_000)
)

#: two CPU cores train it in half an hour, on the lip features and with the vocoder of the reference model's own
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
