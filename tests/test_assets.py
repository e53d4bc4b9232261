from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from f2v_bench import assets
from f2v_bench.assets import ASSETS, Asset, AssetMissing, file_sha256, find_asset, require_asset, weights
from f2v_bench.assets.weights import packaged_weights, read_manifest
from f2v_bench.errors import F2VError
from f2v_bench.utils.paths import asset_folder
from tests.conftest import ROOT


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path / "assets"))
    asset = Asset("toy", "toy.bin", hashlib.sha256(b"toy").hexdigest(), "MIT", "a test", instructions="ask the test")
    monkeypatch.setitem(assets.ASSETS, "toy", asset)
    return asset


def test_dnsmos_ships_with_speechmos_and_is_the_published_file() -> None:
    for name in ("dnsmos-p835", "dnsmos-p808", "dnsmos-p835-personalised"):
        assert file_sha256(require_asset(name)) == ASSETS[name].sha256


def test_a_missing_asset_names_the_way_to_get_it(toy: Asset) -> None:
    assert find_asset("toy") is None
    with pytest.raises(AssetMissing, match="ask the test"):
        require_asset("toy")
    asset_folder().mkdir()
    (asset_folder() / "toy.bin").write_bytes(b"toy")
    assert require_asset("toy") == asset_folder() / "toy.bin"


def test_a_missing_asset_travels_between_processes(toy: Asset) -> None:
    found = pickle.loads(pickle.dumps(AssetMissing(toy)))
    assert (found.asset, str(found)) == (toy, str(AssetMissing(toy)))


def test_an_asset_without_an_address_cannot_be_pulled(toy: Asset) -> None:
    with pytest.raises(AssetMissing, match="ask the test"):
        assets.pull_asset("toy")


def test_an_unknown_asset_gets_a_suggestion() -> None:
    with pytest.raises(F2VError, match="did you mean 'whisper-large-v3'"):
        require_asset("whisper-largev3")
    with pytest.raises(F2VError, match="did you mean 'svts/demo-tiny'"):
        require_asset("svts/demo-tin")


# data packages


@pytest.fixture
def fresh_weights() -> Iterator[None]:
    """Forget the installed data packages before and after a test."""
    for cached in (packaged_weights, assets._verified):
        cached.cache_clear()
    yield
    for cached in (packaged_weights, assets._verified):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_weights: None) -> Path:
    """Install a data package with the weights ``toy/small`` and ``shared/base``, and no other."""
    folder = tmp_path / "toy_weights"
    (folder / "toy").mkdir(parents=True)
    (folder / "shared").mkdir()
    (folder / "__init__.py").touch()
    (folder / "toy" / "small.safetensors").write_bytes(b"small")
    (folder / "shared" / "base.safetensors").write_bytes(b"base")
    write_manifest(folder, entry("toy/small", b"small"), entry("shared/base", b"base"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(weights, "entry_points", lambda group: [EntryPoint("toy-weights", "toy_weights", group)])
    return folder


def entry(name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "file": f"{name}.safetensors", "sha256": digest, "license": "MIT"}


def write_manifest(folder: Path, *entries: dict[str, Any], version: int = 1) -> None:
    (folder / "manifest.json").write_text(json.dumps({"format": version, "weights": entries}))


def test_weights_of_a_data_package_are_assets(package: Path) -> None:
    assert assets.model_weights("toy") == {"small": package / "toy" / "small.safetensors"}
    assert assets.shared_weights("base") == package / "shared" / "base.safetensors"
    assert assets.model_weights("other") == {}
    assert assets.shared_weights("other") is None
    record = assets.all_assets()["toy/small"]
    assert (record.license, record.enables) == ("MIT", "toy with weights 'small'")
    assert "dnsmos-p835" in assets.all_assets()


def test_changed_weights_are_refused(package: Path) -> None:
    (package / "toy" / "small.safetensors").write_bytes(b"other")
    with pytest.raises(F2VError, match="is not the file 'toy/small' of its manifest"):
        assets.model_weights("toy")


def test_a_broken_manifest_is_named(package: Path) -> None:
    point = EntryPoint("toy-weights", "toy_weights", weights.GROUP)
    write_manifest(package, version=7)
    with pytest.raises(F2VError, match="has format 7, this version reads 1"):
        read_manifest(point)
    (package / "manifest.json").write_text("{}")
    with pytest.raises(F2VError, match="is not a manifest of weights"):
        read_manifest(point)
    with pytest.raises(F2VError, match="has no module 'no_such_module'"):
        read_manifest(EntryPoint("gone", "no_such_module", weights.GROUP))


def test_two_packages_with_the_same_weights_are_refused(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more_weights").mkdir()
    (tmp_path / "more_weights" / "__init__.py").touch()
    write_manifest(tmp_path / "more_weights", entry("toy/small", b"small"))
    points = [EntryPoint(name, name, weights.GROUP) for name in ("toy_weights", "more_weights")]
    monkeypatch.setattr(weights, "entry_points", lambda group: points)
    with pytest.raises(F2VError, match="two data packages ship the weights 'toy/small'"):
        packaged_weights()


@pytest.mark.parametrize("name", ["shared/demo-tiny", "faces-to-voices/demo-tiny", "svts/demo-tiny"])
def test_shipped_weights_are_the_files_of_their_manifest(name: str) -> None:
    assert file_sha256(require_asset(name)) == assets.get_asset(name).sha256


def test_every_shipped_file_is_in_a_manifest() -> None:
    for manifest in ROOT.glob("weights/*/src/*/manifest.json"):
        listed = {one["file"]: one["bytes"] for one in json.loads(manifest.read_text())["weights"]}
        files = {path.relative_to(manifest.parent).as_posix(): path for path in manifest.parent.rglob("*.safetensors")}
        assert listed == {name: path.stat().st_size for name, path in files.items()}
