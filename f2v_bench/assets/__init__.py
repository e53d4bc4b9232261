"""Named weight files with hash, license and source. Every weight file enters through here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.assets.base import Asset, AssetMissing, file_sha256
from f2v_bench.assets.catalog import ASSETS
from f2v_bench.assets.weights import SHARED, package_folder, packaged_weights
from f2v_bench.errors import F2VError, suggest
from f2v_bench.utils.paths import asset_folder

if TYPE_CHECKING:
    from f2v_bench.utils.download import Progress

__all__ = [
    "ASSETS",
    "Asset",
    "AssetMissing",
    "all_assets",
    "file_sha256",
    "find_asset",
    "get_asset",
    "model_weights",
    "pull_asset",
    "require_asset",
    "shared_weights",
]


def all_assets() -> dict[str, Asset]:
    """Return every asset by name: public files, then the weights of installed data packages."""
    return {**ASSETS, **packaged_weights()}


def get_asset(name: str) -> Asset:
    """Return the record of an asset.

    Raises:
        F2VError: unknown name.
    """
    asset = ASSETS.get(name) or packaged_weights().get(name)
    if asset is None:
        raise F2VError(f"there is no asset called '{name}'", suggest(name, all_assets()))
    return asset


def find_asset(name: str) -> Path | None:
    """Return the file of an asset from the asset folder, the package that ships it, or another tool's cache."""
    return next((path for path in _candidates(get_asset(name)) if path.is_file()), None)


def require_asset(name: str) -> Path:
    """Return the file of an asset.

    Raises:
        AssetMissing: not on this machine; the message names the way to get it.
    """
    path = find_asset(name)
    if path is None:
        raise AssetMissing(get_asset(name))
    return path


def pull_asset(name: str, progress: Progress | None = None) -> Path:
    """Fetch an asset from its publisher into the asset folder; an interrupted transfer is resumed.

    Raises:
        F2VError: unknown name, no address (the message names another way), no network, or a file of another hash.
    """
    from f2v_bench.utils.download import fetch

    asset = get_asset(name)
    found = find_asset(name)
    if found is not None:
        return found
    if asset.url is None:
        raise AssetMissing(asset)
    checksum = f"sha256:{asset.sha256}" if asset.sha256 else None
    return fetch(asset.url, asset_folder(), asset.filename, checksum=checksum, progress=progress)


def model_weights(model: str) -> dict[str, Path]:
    """Return the packaged weight files of a model by name, in the order of names.

    Args:
        model: name of the model, as in ``--model``.

    Raises:
        F2VError: a file differs from its manifest.
    """
    prefix = f"{model}/"
    names = sorted(name for name in packaged_weights() if name.startswith(prefix))
    found = {name.removeprefix(prefix): _verified(name) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def shared_weights(name: str) -> Path | None:
    """Return the packaged lip encoder and vocoder that models share, or None where no package ships them.

    Args:
        name: name of the weights, such as ``demo-tiny``.

    Raises:
        F2VError: the file differs from its manifest.
    """
    full_name = f"{SHARED}/{name}"
    return _verified(full_name) if full_name in packaged_weights() else None


@lru_cache
def _verified(name: str) -> Path | None:
    """Return a packaged file after comparing its hash with the manifest, once per process."""
    path, asset = find_asset(name), get_asset(name)
    if path is not None and asset.sha256 is not None and file_sha256(path) != asset.sha256:
        raise F2VError(
            f"'{path}' is not the file '{name}' of its manifest: SHA-256 {file_sha256(path)}, expected {asset.sha256}",
            "delete the file if it is in the asset folder, or reinstall the data package",
        )
    return path


def _candidates(asset: Asset) -> Iterator[Path]:
    yield asset_folder() / asset.filename
    if asset.package:
        module, inner = asset.package
        folder = package_folder(module)
        if folder is not None:
            yield folder / inner
    yield from (Path(home).expanduser() for home in asset.other_homes)
