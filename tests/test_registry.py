from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from f2v_bench import registry
from f2v_bench.errors import F2VError
from f2v_bench.registry import DATASETS, EXPERIMENTS, METRICS, MODELS, SYSTEMS, Registry


def test_entries_of_this_project_are_found() -> None:
    assert {"dnsmos", "pesq", "rmse_f0", "stoi", "wer"} <= set(METRICS.names())
    assert {"external", "ground-truth", "precomputed", "resynthesis", "shuffled"} <= set(SYSTEMS.names())
    assert {"demo", "folder", "grid", "lrs2", "lrs3"} <= set(DATASETS.names())


@pytest.mark.parametrize("kind", [SYSTEMS, DATASETS, METRICS])
def test_everything_on_offer_can_be_loaded(kind: Registry) -> None:
    for name in kind.names():
        entry = kind.load(name)
        assert entry.name == name or kind.load(entry.name) is entry  # an alias


def test_every_model_is_a_system_and_a_training() -> None:
    assert {"diffv2s", "faces-to-voices", "intelligible", "ours", "svts", "v2a-mel", "v2a-wave"} <= set(MODELS.names())
    assert set(MODELS.names()) <= set(SYSTEMS.names())
    assert set(MODELS.names()) <= set(EXPERIMENTS.names())
    for name in MODELS.names():
        assert name in MODELS.load(name).names


def test_every_name_of_a_model_is_an_entry_point() -> None:
    for name in MODELS.names():
        assert set(MODELS.load(name).names) <= set(MODELS.names())


def test_an_alias_keeps_its_label() -> None:
    assert SYSTEMS.load("ours").name == "ours"
    assert SYSTEMS.load("faces-to-voices").name == "faces-to-voices"
    assert EXPERIMENTS.load("ours") is EXPERIMENTS.load("faces-to-voices")


def test_the_earlier_group_of_trainings_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "f2v_bench.errors:F2VError", "f2v_bench.trainees")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "f2v_bench.trainees" else [])
    trainings = Registry("model", "f2v_bench.experiments", earlier="f2v_bench.trainees")
    assert trainings.names() == ["theirs"]
    assert trainings.load("theirs") is F2VError


def test_listing_models_imports_none() -> None:
    code = (
        "import sys; from f2v_bench.registry import EXPERIMENTS, MODELS, SYSTEMS; "
        "print(len(SYSTEMS.names()), len(EXPERIMENTS.names()), len(MODELS.names())); "
        "print([name for name in sys.modules if name.startswith(('torch', 'baselines', 'reference_model'))]); "
        "[MODELS.load(name) for name in MODELS.names()]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    _, imported, torch_imported = done.stdout.strip().splitlines()
    assert imported == "[]"
    assert torch_imported == "False"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(F2VError, match="no metric called 'dnsmoss'") as caught:
        METRICS.load("dnsmoss")
    assert "did you mean 'dnsmos'" in caught.value.do


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("same", f"{package}:Thing", "g") for package in ("a", "b")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(F2VError, match="two packages offer the metric 'same'"):
        Registry("metric", "g").names()


def test_a_plugin_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("broken", "no_such_package_anywhere:Thing", "g")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(F2VError, match="'broken' cannot be loaded"):
        Registry("metric", "g").load("broken")


@pytest.mark.parametrize("module", ["f2v_bench", "f2v_bench.cli.main"])
def test_importing_is_cheap(module: str) -> None:
    heavy = "{'torch', 'matplotlib', 'librosa', 'pandas', 'cv2', 'scipy', 'onnxruntime', 'av'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
