from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from f2v_bench import registry
from f2v_bench.errors import F2VError
from f2v_bench.registry import DATASETS, METRICS, SYSTEMS, Registry


def test_ours_are_found() -> None:
    assert {"dnsmos", "pesq", "rmse_f0", "stoi", "wer"} <= set(METRICS.names())
    assert {"external", "ground-truth", "precomputed", "resynthesis", "shuffled"} <= set(SYSTEMS.names())
    assert {"demo", "folder", "grid", "lrs2", "lrs3"} <= set(DATASETS.names())


@pytest.mark.parametrize("kind", [SYSTEMS, DATASETS, METRICS])
def test_everything_on_offer_can_be_loaded(kind: Registry) -> None:
    for name in kind.names():
        assert kind.load(name).name == name


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
