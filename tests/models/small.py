"""Small settings of every model for the contract tests."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.registry import MODELS
from f2v_bench.training.module import ModelModule
from tests.baselines import test_audio_pretraining, test_diffv2s, test_intelligible, test_svts, test_v2a_wave
from tests.reference_model import test_train
from tests.training.staged import GROUND, STAGE

#: settings by model; a model without an entry has its preset ``tiny`` with the shared parts of ``GROUND``
CONFIGS: dict[str, Any] = {
    "diffv2s": test_diffv2s.CONFIG,
    "faces-to-voices": test_train.CONFIG,
    "intelligible": test_intelligible.CONFIG,
    "svts": test_svts.CONFIG,
    "v2a-mel": test_audio_pretraining.CONFIG,
    "v2a-wave": test_v2a_wave.CONFIG,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One model under the contract.

    Attributes:
        spec: declaration of the model.
        config: small settings.
        tolerance: largest difference of a sample between a batch and one by one.
    """

    spec: ModelSpec
    config: Any
    tolerance: float = 2e-3

    @property
    def own_stages(self) -> tuple[str, ...]:
        """Stages that no other training can lend."""
        return tuple(name for name in self.spec.experiment_class().stages if name not in ("lips", "vocoder"))


def small_config(spec: ModelSpec) -> Any:
    """Return small settings of a model."""
    if spec.name in CONFIGS:
        return CONFIGS[spec.name]
    config = spec.preset("tiny")
    stages = {field.name: STAGE for field in fields(config) if field.name.endswith("_stage")}
    return replace(config, **(GROUND | stages))


def cases() -> list[Case]:
    """Return one case per registered model."""
    specs = {spec.name: spec for spec in map(MODELS.load, MODELS.names())}
    # untrained weights: the last bit of F0 moves the phase of high harmonics, and a decoder of samples is full-scale
    loose = {"faces-to-voices": 1e-2, "v2a-wave": 2e-2}
    return [Case(spec, small_config(spec), loose.get(name, 2e-3)) for name, spec in sorted(specs.items())]


def module_class(stage: str, case: Case) -> type[Any]:
    """Return the class of the module that trains a stage, for interruptions."""
    from baselines.v2a.adversarial import AdversarialModule
    from f2v_bench.training.vocoder import VocoderModule

    if stage == "voice":
        return VocoderModule
    return AdversarialModule if case.spec.name == "v2a-wave" else ModelModule
