from __future__ import annotations

import re
import tomllib
from pathlib import Path

from experiments import pin_versions
from tests.conftest import ROOT

CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_uv_and_pip_install_the_same_versions() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == pin_versions.parse_pins(CONSTRAINTS)


def test_every_pin_has_hashes_and_no_address() -> None:
    pins = pin_versions.parse_pins(CONSTRAINTS)
    assert len(pins) > 50
    assert all("==" in pin for pin in pins)
    assert CONSTRAINTS.count("--hash=sha256:") >= len(pins)
    assert "://" not in CONSTRAINTS


def test_every_declared_dependency_is_pinned() -> None:
    names = {pin.partition("==")[0] for pin in pin_versions.parse_pins(CONSTRAINTS)}
    declared = {re.split(r"[<>=]", wanted)[0] for wanted in PROJECT["project"]["dependencies"]}
    assert declared - names == {"f2v-bench-weights"}  # a member of the workspace


def test_data_packages_are_members_of_the_workspace() -> None:
    sources = PROJECT["tool"]["uv"]["sources"]
    assert set(sources) == set(pin_versions.DATA_PACKAGES) == {path.name for path in ROOT.glob("weights/*")}
    for name in sources:
        assert tomllib.loads((ROOT / "weights" / name / "pyproject.toml").read_text())["project"]["name"] == name


def test_code_ships_no_weights_and_the_required_ones_stay_below_20_mb() -> None:
    code = [path for room in ("f2v_bench", "baselines", "reference_model") for path in files_of(ROOT / room)]
    assert not [path for path in code if path.suffix == ".safetensors"]
    assert sum(path.stat().st_size for path in code) < 5e6
    assert sum(path.stat().st_size for path in files_of(ROOT / "weights" / "f2v-bench-weights")) < 20e6
    assert sum(path.stat().st_size for path in files_of(ROOT / "weights" / "f2v-bench-weights-baselines")) < 100e6


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
