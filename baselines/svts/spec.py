"""Declaration of SVTS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.systems.base import SpeakerReference
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from baselines.svts.config import SVTSConfig

#: vocoder of the published form; the paper names no checkpoint that this project could read of. Choice: this one
PARALLEL_WAVEGAN = "parallel-wavegan-libritts"
_RATE_24K = 24_000


def describe(config: SVTSConfig) -> dict[str, str]:
    """Return the rows of the model card."""
    sizes = config.conformer
    return {"front end": config.frontend.kind, "decoder": f"Conformer, {sizes.blocks} x {sizes.width}"}


def check(config: SVTSConfig) -> None:
    """Refuse weights of the published form where the vocoder's archive cannot be read."""
    if config.is_native:
        from f2v_bench.assets import get_asset, require_asset
        from f2v_bench.nn.vocoders.parallel_wavegan_checkpoint import check_archive

        check_archive(require_asset(PARALLEL_WAVEGAN), get_asset(PARALLEL_WAVEGAN).instructions)


SPEC = ModelSpec(
    name="svts",
    title="SVTS",
    summary="SVTS: lips and a speaker embedding straight to mel, by a Conformer",
    config="baselines.svts.config:SVTSConfig",
    presets="baselines.svts.config:PRESETS",
    model="baselines.svts.model:SVTS",
    experiment="baselines.svts.train:SVTSExperiment",
    synthesizer="baselines.svts.synthesis:build_synthesizer",
    voices=(SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP),
    sample_rate=lambda config: _RATE_24K if config.is_native else SAMPLE_RATE,
    assets=lambda config: (PARALLEL_WAVEGAN,) if config.is_native else (),
    check=check,
    vocoder_name=lambda config: PARALLEL_WAVEGAN if config.is_native else None,
    describe=describe,
    renamed_keys=((r"^model\.front\.", "model.frontend."),),
)
