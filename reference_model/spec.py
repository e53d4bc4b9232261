"""Declaration of the reference model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from reference_model.config import FacesToVoicesConfig


def nfe(config: FacesToVoicesConfig) -> int | None:
    """Return the evaluations of the velocity network per clip; None for an adaptive solver."""
    from reference_model.solvers import NFE_PER_STEP

    flow = config.flow
    if flow.solver not in NFE_PER_STEP:
        return None
    return NFE_PER_STEP[flow.solver] * flow.steps * (1 if flow.guidance == 1 else 2)


def describe(config: FacesToVoicesConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    flow = config.flow
    sampling = f"{flow.solver}, {flow.steps} steps, guidance {flow.guidance:g}, temperature {flow.temperature:g}"
    return {"decoder": flow.decoder, "sampling": sampling}


def origin(config: FacesToVoicesConfig) -> str:
    """Return the decoder's pre-training in words, for tables."""
    mode = config.transfer
    return "" if mode == "scratch" else f", {config.pretraining.describe(mode)}"


SPEC = ModelSpec(
    name="faces-to-voices",
    aliases=("ours",),
    title="the reference model",
    summary="the reference model: content from lips, timbre from the face, prosody from the expression, OT-CFM",
    config="reference_model.config:FacesToVoicesConfig",
    presets="reference_model.presets:PRESETS",
    model="reference_model.model:FacesToVoices",
    experiment="reference_model.train:FacesToVoicesExperiment",
    system="reference_model.system:FacesToVoicesSystem",
    synthesizer="reference_model.synthesis:FacesToVoicesSynthesizer",
    stages=("lips", "condition", "decoder", "vocoder"),
    voices=(SpeakerReference.FACE, SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    settings=("steps", "solver", "guidance", "temperature"),
    sampling_group="flow",
    ablation=lambda config: str(config.ablate),
    nfe=nfe,
    describe=describe,
    provenance=origin,
    metadata_key="reference_model",
)
