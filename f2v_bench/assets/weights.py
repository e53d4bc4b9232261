"""Weights of the suite's own models, shipped in data packages with a manifest.

A data package names itself in the entry-point group ``f2v_bench.weights``. It holds ``manifest.json`` and the files
that the manifest lists as ``<model>/<weights>``. Parts that several models use are called ``shared/<weights>``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from f2v_bench.assets.base import Asset
from f2v_bench.errors import F2VError

GROUP = "f2v_bench.weights"
#: first part of the names of lip encoders and vocoders that several models use
SHARED = "shared"
MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1


@lru_cache(maxsize=1)
def packaged_weights() -> dict[str, Asset]:
    """Return the weights of every installed data package by name. Nothing is imported, no weight file is opened.

    Raises:
        F2VError: a data package has no readable manifest, or two packages ship weights of the same name.
    """
    found: dict[str, Asset] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        for asset in read_manifest(point):
            other = found.setdefault(asset.name, asset)
            if other.package != asset.package:
                raise F2VError(f"two data packages ship the weights '{asset.name}'", f"uninstall one: {point.name}")
    return found


def read_manifest(point: EntryPoint) -> list[Asset]:
    """Return the assets that a data package lists.

    Raises:
        F2VError: no such package, no manifest, or one of another format.
    """
    folder = package_folder(point.value)
    advice = f"reinstall the package '{point.name}'"
    if folder is None:
        raise F2VError(f"the data package '{point.name}' has no module '{point.value}'", advice)
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != MANIFEST_FORMAT:
            raise F2VError(f"'{path}' has format {manifest['format']}, this version reads {MANIFEST_FORMAT}", advice)
        return [_asset(point, entry) for entry in manifest["weights"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise F2VError(f"'{path}' is not a manifest of weights: {error!r}", advice) from error


def package_folder(module: str) -> Path | None:
    """Return the folder of an installed package without importing it, or None."""
    spec = find_spec(module)
    return next((Path(place) for place in (spec.submodule_search_locations or [])), None) if spec else None


def _asset(point: EntryPoint, entry: dict[str, Any]) -> Asset:
    model, _, weights = entry["name"].partition("/")
    return Asset(
        name=entry["name"],
        filename=f"{entry['name']}.safetensors",
        sha256=entry["sha256"],
        license=entry["license"],
        enables=f"lip encoder and vocoder of '{weights}'" if model == SHARED else f"{model} with weights '{weights}'",
        instructions=f"uv pip install {point.name}",
        package=(point.value, entry["file"]),
    )
