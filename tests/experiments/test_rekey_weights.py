"""Packaged weights, rewritten with the names of the present format."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from experiments.rekey_weights import read, rekey_folders
from f2v_bench.assets import file_sha256
from f2v_bench.modeling import checkpoint as module
from f2v_bench.modeling.checkpoint import FORMAT, METADATA_KEY
from f2v_bench.registry import MODELS

PACKAGES = sorted((Path(__file__).resolve().parents[2] / "weights").glob("*/src/*"))


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Return copies of all packaged weights before and after."""
    root = tmp_path_factory.mktemp("rekeyed")
    for package in PACKAGES:
        shutil.copytree(package, root / package.name)
    files = sorted(root.rglob("*.safetensors"))
    before = [file.rename(file.with_suffix(".before")) for file in files]
    for copy, file in zip(before, files, strict=True):
        shutil.copy(copy, file)
    rekey_folders([root / package.name for package in PACKAGES])
    return before, files


def test_tensors_stay_bit_equal(rewritten: tuple[list[Path], list[Path]]) -> None:
    assert len(rewritten[0]) >= 9
    for before, after in zip(*rewritten, strict=True):
        old, new = (sorted(read(path)[0].items()) for path in (before, after))
        assert len(old) == len(new)
        found = {(tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for _, tensor in new}
        assert {(tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for _, tensor in old} == found


def test_models_load_the_same_weights_from_both(
    rewritten: tuple[list[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for before, after in zip(*rewritten, strict=True):
        if after.parent.name == "shared":
            continue
        loaded = []
        for path, suffix in ((before, ".before"), (after, ".safetensors")):
            shared = {file.stem: file for file in after.parents[2].rglob(f"shared/*{suffix}")}
            monkeypatch.setattr(module, "shared_weights", shared.get)
            checkpoint = MODELS.load(after.parent.name).checkpoint(path)
            parts = [checkpoint.model(), checkpoint.lip_encoder(), checkpoint.vocoder()]
            loaded.append((checkpoint, [part.state_dict() for part in parts if part is not None]))
        (old, old_states), (new, new_states) = loaded
        assert (new.format, METADATA_KEY in read(after)[1]) == (FORMAT, True)
        assert (old.config, old.statistics, old.facts) == (new.config, new.statistics, new.facts)
        for one, other in zip(old_states, new_states, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)


def test_files_of_the_present_format_are_left_alone(rewritten: tuple[list[Path], list[Path]]) -> None:
    _, files = rewritten
    hashes = [file_sha256(file) for file in files]
    assert rekey_folders(sorted({file.parents[1] for file in files})) == []
    assert [file_sha256(file) for file in files] == hashes
