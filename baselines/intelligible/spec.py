"""Declaration of Intelligible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f2v_bench.modeling.spec import OWN_VOCODER, ModelSpec
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.intelligible.config import IntelligibleConfig


def describe(config: IntelligibleConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    sizes = config.conformer
    start = ", started from the shared vocoder" if config.voice.start == "shared-vocoder" else ""
    return {
        "front end": config.frontend.kind,
        "decoder": f"Conformer, {sizes.blocks} x {sizes.width}, {config.units.count} units",
        "vocoder takes": f"mel, units and speaker embedding{start}",
    }


SPEC = ModelSpec(
    name="intelligible",
    title="Intelligible Lip-to-Speech",
    summary="Intelligible Lip-to-Speech: lips to speech units and mel, and a vocoder that takes both",
    config="baselines.intelligible.config:IntelligibleConfig",
    presets="baselines.intelligible.config:PRESETS",
    model="baselines.intelligible.model:Intelligible",
    experiment="baselines.intelligible.train:IntelligibleExperiment",
    vocoder="baselines.intelligible.vocoder:MultiInputVocoder",
    vocoder_part=OWN_VOCODER,
    waveform="baselines.intelligible.vocoder:to_waveform",
    voices=(SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    describe=describe,
    renamed_keys=((r"^model\.front\.", "model.frontend."), (r"^voice\.rise\.", "voice.upsample.")),
)
