"""Rewrite weight files of format 1 with the names of format 2; tensors stay bit-equal.

    python experiments/rekey_weights.py weights/*/src/*

Give the folders of the data packages together: shared weights are rewritten first, and the files that name them by
SHA-256 get the new hash. Afterwards run ``experiments/build_weight_manifests.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from f2v_bench.assets import file_sha256
from f2v_bench.config import as_mapping, from_mapping
from f2v_bench.modeling.checkpoint import FORMAT, METADATA_KEY, TrainingInfo, read_head, write_tensors
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.registry import MODELS


def main() -> None:
    """Rewrite the weight files below the given folders in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of the data packages")
    for path in rekey_folders(parser.parse_args().folders):
        print(f"{path}: {file_sha256(path)}")  # noqa: T201  a script's output


def rekey_folders(folders: Sequence[Path]) -> list[Path]:
    """Rewrite all weight files below folders in place, shared weights first.

    Args:
        folders: folders with ``shared/NAME.safetensors`` and ``MODEL/NAME.safetensors``.

    Returns:
        The files that were rewritten; files of the present format are left as they are.
    """
    files = sorted(path for folder in folders for path in folder.rglob("*.safetensors"))
    shared = [path for path in files if path.parent.name == "shared"]
    hashes: dict[str, str] = {}  # SHA-256 of shared weights before and after
    done = [path for path in shared if rekey_shared(path, hashes)]
    for path in files:
        if path not in shared and rekey_model(path, MODELS.load(path.parent.name), hashes):
            done.append(path)
    return done


def rekey_shared(path: Path, hashes: dict[str, str]) -> bool:
    """Rewrite shared weights in place and note their hashes; return False where no name changes."""
    tensors, _ = read(path)
    renamed = rename_keys(tensors, LAYER_KEYS)
    if list(renamed) == list(tensors):
        return False
    before = file_sha256(path)
    write_tensors(path, renamed)
    hashes[before] = file_sha256(path)
    return True


def rekey_model(path: Path, spec: ModelSpec, hashes: dict[str, str]) -> bool:
    """Rewrite a model's weight file in place; return False for a file of the present format.

    Args:
        path: weight file.
        spec: declaration of its model.
        hashes: SHA-256 of shared weights before and after they were rewritten.
    """
    tensors, metadata = read(path)
    if METADATA_KEY in metadata:
        return False
    head = read_head(spec, metadata)
    new: dict[str, Any] = {
        "format": FORMAT,
        "model": spec.name,
        "config": as_mapping(from_mapping(spec.config_class, head["config"])),
        "statistics": head["statistics"],
        "facts": asdict(TrainingInfo.from_mapping(head["facts"])),
    }
    if base := head.get("base"):
        new["base"] = base | {"sha256": hashes.get(base["sha256"], base["sha256"])}
    write_tensors(path, rename_keys(tensors, (*LAYER_KEYS, *spec.renamed_keys)), new)
    return True


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        return tensors, dict(file.metadata() or {})


if __name__ == "__main__":
    main()
