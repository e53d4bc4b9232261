"""Declaration of the reference model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f2v_bench.errors import F2VError
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from f2v_bench.modeling.base import Model, Statistics
    from reference_model.config import FacesToVoicesConfig, FlowConfig

#: patterns and replacements of the tensor names of format 1, in the order in which they are applied
RENAMED_KEYS = (
    (r"^model\.nobody$", "model.null_speaker"),
    (r"^model\.hearing\.", "model.audio_frontend."),
    (r"^model\.prosody\.place\.", "model.prosody.pitch_stats."),
    (r"^model\.prosody\.embed\.", "model.decoder.contour_embedding.conv."),
    (r"^model\.fine\.", "model.mel_encoder."),
    (r"^model\.(fusion|upsample|blocks|norm|mu|flow)\.", r"model.decoder.\1."),
    (r"\bflow\.decoder\.", "flow.velocity_net."),
    (r"\bvelocity_net\.near\.", "velocity_net.conv_in."),
    (r"\bvelocity_net\.downs\.", "velocity_net.downsample."),
    (r"\bvelocity_net\.ups\.", "velocity_net.upsample."),
    (r"\bvelocity_net\.upsample\.(\d+)\.keep\.", r"velocity_net.upsample.\1.skip."),
)


class FacesToVoicesSpec(ModelSpec):
    """Declaration whose network follows from the ablation."""

    def build_model(self, config: Any, statistics: Statistics) -> Model[Any]:
        from reference_model.ablations import model_class
        from reference_model.mel_decoder import DataStatistics

        return model_class(config.ablate)(config, DataStatistics(**statistics))


def nfe(config: FacesToVoicesConfig) -> int | None:
    """Return the evaluations of the velocity net per clip; None for an adaptive solver."""
    from reference_model.solvers import NFE_PER_STEP

    flow = config.flow
    if flow.solver not in NFE_PER_STEP:
        return None
    return NFE_PER_STEP[flow.solver] * flow.steps * (1 if flow.guidance == 1 else 2)


def check_sampling(flow: FlowConfig) -> None:
    """Refuse a number of steps that no solver can take.

    Raises:
        F2VError: fewer than one step.
    """
    if flow.steps < 1:
        raise F2VError(f"an ODE solver needs at least 1 step, got {flow.steps}", "choose another number: steps=10")


def describe(config: FacesToVoicesConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    flow = config.flow
    sampling = f"{flow.solver}, {flow.steps} steps, guidance {flow.guidance:g}, temperature {flow.temperature:g}"
    return {"decoder": flow.decoder, "sampling": sampling}


def provenance(config: FacesToVoicesConfig) -> str:
    """Return the origin of the decoder's weights, for tables."""
    return "" if config.transfer == "scratch" else f", {config.pretraining.describe(config.transfer)}"


SPEC = FacesToVoicesSpec(
    name="faces-to-voices",
    aliases=("ours",),
    title="the reference model",
    summary="the reference model: content from lips, timbre from the face, prosody from the expression, OT-CFM",
    config="reference_model.config:FacesToVoicesConfig",
    presets="reference_model.config:PRESETS",
    model="reference_model.model:FacesToVoices",
    experiment="reference_model.train:FacesToVoicesExperiment",
    system="reference_model.system:FacesToVoicesSystem",
    synthesizer="reference_model.synthesis:FacesToVoicesSynthesizer",
    voices=(SpeakerReference.FACE, SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    stages=("lips", "condition", "decoder", "vocoder"),
    settings=("steps", "solver", "guidance", "temperature"),
    sampling_group="flow",
    check_sampling=check_sampling,
    ablation=lambda config: str(config.ablate),
    nfe=nfe,
    describe=describe,
    provenance=provenance,
    renamed_keys=RENAMED_KEYS,
    metadata_key="reference_model",
)
