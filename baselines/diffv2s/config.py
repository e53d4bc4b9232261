"""Every choice of DiffV2S in one tree, and its sizes. No code was published: what the paper does not say is ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from f2v_bench.modeling import shared_config as presets
from f2v_bench.modeling.shared_config import SharedConfig, StageConfig


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """A transformer over what is seen or heard, and the prompts that read it.

    Choices: all. The paper puts its prompts beside the frozen sequence of AV-HuBERT; here they go into a small
    transformer on top of its features, so that any frozen encoder will do.

    Attributes:
        width: channels.
        blocks: of the transformer.
        heads: of its attention.
        prompts: learned vectors beside the sequence.
        dropout: share of channels dropped.
    """

    width: int = 512
    blocks: int = 2
    heads: int = 4
    prompts: int = 4
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """How speaker embeddings are learned: of what is seen, of what is heard, and GE2E's, by InfoNCE of the pairs.

    Choices: all but the pairs.

    Attributes:
        faces: channels of a face encoder's layers, whose vectors the prompts read beside the lips; none in the paper,
            where AV-HuBERT's features say who it is. The stand-in's hardly do.
        pictures: of the face that training shows it, drawn from the clip's.
        temperature: of InfoNCE.
        weight: of each of its four parts beside the L1 of mels.
        heard: how often training lets the denoiser have the heard voice instead of the seen one, so that a recording
            can replace the face.
    """

    faces: tuple[int, ...] = ()
    pictures: int = 4
    temperature: float = 0.07
    weight: float = 0.1
    heard: float = 0.1


@dataclass(frozen=True, slots=True)
class DenoiserConfig:
    """The transformer that says the clean mel. Width, blocks and heads of ``paper`` are the paper's.

    Choices: ``hidden``, ``dropout``, rotary positions, and the time added to what enters.

    Attributes:
        width: channels.
        blocks: of it.
        heads: of its attention.
        hidden: channels of its feed-forward parts.
        dropout: share of channels dropped.
    """

    width: int = 512
    blocks: int = 8
    heads: int = 4
    hidden: int = 2048
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """From mel to noise and back. The number of times and the guidance of ``paper`` are the paper's.

    Choices: ``steps``, ``quantile``, and the cosine schedule.

    Attributes:
        times: of the diffusion, T.
        quantile: of the corpus's mel values that becomes 1; the floor becomes -1, and what is louder is cut.
        steps: of DDIM, each an evaluation of the denoiser.
        guidance: scale of the speaker guidance; 0 is none, and spares its gradients.
    """

    times: int = 1000
    quantile: float = 0.9995
    steps: int = 50
    guidance: float = 1000.0


@dataclass(frozen=True, slots=True)
class DiffV2SConfig(SharedConfig):
    """Sizes of the network, and how it is trained.

    Attributes:
        preset: whose values these are.
        lips: the frozen encoder.
        video: reads its features.
        audio: reads mels.
        voice: what both say of the speaker.
        denoiser: from noise to mel.
        diffusion: its schedule and sampling.
        units: that teach the frozen encoder.
        teaching: of the frozen encoder.
        vocoder: from mel to samples.
        lips_stage, vocoder_stage, main_stage: steps and optimisers.
    """

    video: ReaderConfig = field(default_factory=ReaderConfig)
    audio: ReaderConfig = field(default_factory=ReaderConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    main_stage: StageConfig = field(default_factory=StageConfig)


#: AV-HuBERT Large, and the denoiser of the paper; one or more GPUs and LRS3 or LRS2
PAPER = DiffV2SConfig(
    preset="paper",
    lips=presets.PAPER.lips,
    units=presets.PAPER.units,
    vocoder_stage=presets.PAPER.vocoder_stage,
    main_stage=StageConfig(steps=200_000, batch=32, learning_rate=2e-4, warmup=4000, validate_every=5000),
)

#: two CPU cores train it in half an hour, on the lip features and with the vocoder of the reference model's own
TINY = DiffV2SConfig(
    preset="tiny",
    lips=presets.TINY.lips,
    video=ReaderConfig(width=192, blocks=1),
    audio=ReaderConfig(width=128, blocks=2),
    voice=VoiceConfig(faces=(24, 48, 96, 96)),
    denoiser=DenoiserConfig(width=256, blocks=4, hidden=768),
    diffusion=DiffusionConfig(steps=20),
    vocoder=presets.TINY.vocoder,
    lips_stage=presets.TINY.lips_stage,
    vocoder_stage=presets.TINY.vocoder_stage,
    main_stage=presets.TINY.main_stage,
)

PRESETS = {one.preset: one for one in (TINY, PAPER)}
