"""Write the manifests of the data packages below ``weights/`` from their files.

Run it after weights change: ``uv run python experiments/build_weight_manifests.py``. It also refreshes the row ``file``
of every model card, which states size and SHA-256.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from f2v_bench.assets import file_sha256

ROOT = Path(__file__).resolve().parents[1]
_SHARED = "shared"
_FILE_ROW = re.compile(r"^\| file \| [\d.]+ MB, (?P<precision>[^`]*), SHA-256 `[0-9a-f]{64}`", re.MULTILINE)


def main() -> None:
    """Write one ``manifest.json`` per data package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT / "weights", help="folder of the data packages")
    packages = sorted(path.parent for path in parser.parse_args().root.glob("*/src/*/__init__.py"))
    heads = {path: read_head(path) for package in packages for path in sorted(package.rglob("*.safetensors"))}
    shared = describe_shared(heads)
    for package in packages:
        entries = [describe(path, package, head, shared) for path, head in heads.items() if package in path.parents]
        text = json.dumps({"format": 1, "weights": entries}, indent=2) + "\n"
        (package / "manifest.json").write_text(text, encoding="utf-8")
        for entry in entries:
            refresh_card(package / entry["file"], entry)


def read_head(path: Path) -> dict[str, Any]:
    """Return the JSON header of a weight file; empty for shared parts, which have none."""
    with safe_open(path, "pt") as file:
        texts = list((file.metadata() or {}).values())
    head: dict[str, Any] = json.loads(texts[0]) if texts else {}
    return head


def describe_shared(heads: Mapping[Path, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return, per name of shared weights, the header of a model that uses them: training is the same."""
    return {head["base"]["name"]: head for head in heads.values() if head.get("base")}


def describe(
    path: Path, package: Path, head: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the manifest entry of a weight file.

    Args:
        path: weight file, ``<package>/<model>/<name>.safetensors``.
        package: folder of the data package.
        head: JSON header of the file.
        shared: headers by name of shared weights.
    """
    model = path.parent.name
    source = shared[path.stem] if model == _SHARED else head
    facts = source["facts"]
    return {
        "name": f"{model}/{path.stem}",
        "file": path.relative_to(package).as_posix(),
        "sha256": file_sha256(path),
        "bytes": path.stat().st_size,
        "license": facts.get("license") or facts["licence"],
        "dataset": facts["list_id"],
        "format": source["format"],
    }


def refresh_card(weights: Path, entry: Mapping[str, Any]) -> None:
    """Update size and SHA-256 in the model card beside a weight file, where there is one."""
    card = weights.with_suffix(".md")
    if card.is_file():
        row = rf"| file | {entry['bytes'] / 1e6:.1f} MB, \g<precision>, SHA-256 `{entry['sha256']}`"
        card.write_text(_FILE_ROW.sub(row, card.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
