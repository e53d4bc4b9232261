from __future__ import annotations

import tomllib

from tests.conftest import ROOT, script

PIN = script("pin_versions")
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_uv_and_pip_install_the_same_versions() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == PIN.pins(CONSTRAINTS)


def test_every_pin_has_hashes_and_no_address() -> None:
    pins = PIN.pins(CONSTRAINTS)
    assert len(pins) > 50
    assert all("==" in pin for pin in pins)
    assert CONSTRAINTS.count("--hash=sha256:") >= len(pins)
    assert "://" not in CONSTRAINTS


def test_every_declared_dependency_is_pinned() -> None:
    names = {pin.partition("==")[0] for pin in PIN.pins(CONSTRAINTS)}
    for wanted in PROJECT["project"]["dependencies"]:
        assert wanted.split(">")[0].split("=")[0].split("<")[0] in names


def test_the_package_stays_below_100_mb() -> None:
    files = [
        path
        for room in ("f2v_bench", "baselines", "reference_model")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    assert sum(path.suffix == ".safetensors" for path in files) > 5
    assert sum(path.stat().st_size for path in files) < 100e6
