"""Write manifests and model cards of the data packages below ``weights/`` from their weight files.

Run it after weights change: ``uv run python experiments/build_weight_manifests.py``. Scores in cards are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from f2v_bench.assets import file_sha256
from f2v_bench.assets.weights import MANIFEST, MANIFEST_FORMAT, SHARED
from f2v_bench.modeling.model_card import write_card
from f2v_bench.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
_SCORES = re.compile(r"^## Scores: (?P<run>.+)\n\n(?P<table>(?:(?!## Scores: ).*\n?)*)", re.MULTILINE)


def main() -> None:
    """Write one manifest per data package, then one card per model."""
    packages = sorted(path.parent for path in (ROOT / "weights").glob("*/src/*/__init__.py"))
    heads = {path: read_head(path) for package in packages for path in sorted(package.rglob("*.safetensors"))}
    users = {head["base"]["name"]: head for head in heads.values() if head.get("base")}
    for package in packages:
        entries = [
            describe(path, package, users[path.stem] if path.parent.name == SHARED else head)
            for path, head in heads.items()
            if package in path.parents
        ]
        text = json.dumps({"format": MANIFEST_FORMAT, "weights": entries}, indent=2) + "\n"
        (package / MANIFEST).write_text(text, encoding="utf-8")
    for path in heads:
        if path.parent.name != SHARED:
            card = path.with_suffix(".md")
            write_card(card, MODELS.load(path.parent.name).checkpoint(path), read_scores(card))


def read_head(path: Path) -> dict[str, Any]:
    """Return the JSON header of a weight file; empty for shared weights, which have none."""
    with safe_open(path, "pt") as file:
        texts = list((file.metadata() or {}).values())
    head: dict[str, Any] = json.loads(texts[0]) if texts else {}
    return head


def describe(path: Path, package: Path, head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest entry of a weight file.

    Args:
        path: weight file, ``<package>/<model>/<name>.safetensors``.
        package: folder of the data package.
        head: JSON header of the file; for shared weights that of a model which uses them, with the same training.
    """
    facts = head["facts"]
    return {
        "name": f"{path.parent.name}/{path.stem}",
        "file": path.relative_to(package).as_posix(),
        "sha256": file_sha256(path),
        "bytes": path.stat().st_size,
        "license": facts.get("license") or facts["licence"],
        "dataset": facts["list_id"],
        "format": head["format"],
    }


def read_scores(card: Path) -> dict[str, str]:
    """Return the score tables of a model card by the name of the run; empty where there is no card."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return {match["run"]: match["table"].rstrip("\n") + "\n" for match in _SCORES.finditer(text)}


if __name__ == "__main__":
    main()
