from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest

from f2v_bench import assets
from f2v_bench.assets import ASSETS, Asset, AssetMissing, file_sha256, find_asset, require_asset
from f2v_bench.errors import F2VError
from f2v_bench.utils.paths import asset_folder


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path / "assets"))
    asset = Asset("toy", "toy.bin", hashlib.sha256(b"toy").hexdigest(), "MIT", "a test", instructions="ask the test")
    monkeypatch.setitem(assets.ASSETS, "toy", asset)
    return asset


def test_dnsmos_ships_with_speechmos_and_is_the_published_file() -> None:
    for name in ("dnsmos-p835", "dnsmos-p808", "dnsmos-p835-personalised"):
        assert file_sha256(require_asset(name)) == ASSETS[name].sha256


def test_a_missing_asset_says_how_to_get_it(toy: Asset) -> None:
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
