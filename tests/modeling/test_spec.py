from __future__ import annotations

from pkgutil import resolve_name

import pytest

from f2v_bench.errors import F2VError
from f2v_bench.modeling.base import Model
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.registry import MODELS
from f2v_bench.training.experiment import Experiment

PATHS = ("config", "presets", "model", "experiment", "system", "synthesizer", "vocoder", "waveform")


@pytest.fixture(params=MODELS.names())
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    found: ModelSpec = MODELS.load(request.param)
    assert request.param in found.names
    return found


@pytest.mark.parametrize("field", PATHS)
def test_import_paths_resolve(spec: ModelSpec, field: str) -> None:
    assert resolve_name(getattr(spec, field)) is not None


def test_classes_are_of_their_kinds(spec: ModelSpec) -> None:
    assert issubclass(spec.config_class, SharedConfig)
    assert issubclass(resolve_name(spec.model), Model)
    assert issubclass(spec.experiment_class(), Experiment)
    assert issubclass(spec.system_class(), NeuralSystem)


def test_every_alias_is_an_entry_point(spec: ModelSpec) -> None:
    assert set(spec.names) <= set(MODELS.names())


def test_presets_name_themselves(spec: ModelSpec) -> None:
    for name in resolve_name(spec.presets):
        assert spec.preset(name).preset == name
    with pytest.raises(F2VError, match="has no preset 'huge'"):
        spec.preset("huge")
