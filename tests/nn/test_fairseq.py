from __future__ import annotations

import argparse
import dataclasses
import enum
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from f2v_bench.assets import file_sha256
from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints import fairseq
from f2v_bench.nn.checkpoints.fairseq import fairseq_weights, import_fairseq
from f2v_bench.nn.checkpoints.torch import ANY_MODULE, read_checkpoint
from f2v_bench.utils.paths import cache_folder

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before-1.6"])
WEIGHTS = {
    "encoder.weight": torch.arange(12.0).view(3, 4).T,  # not contiguous
    "steps": torch.tensor(7),
    "half": torch.ones(2, dtype=torch.float16),
}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "cache"))


class Calls:
    """Object whose unpickling calls a function, as in a malicious file."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what


def save(path: Path, content: object, *, zipped: bool) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def settings_of_a_task(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, object], list[str]]:
    """Define settings in fairseq's checkpoints, of a package that is missing when the file is read."""
    ran: list[str] = []
    module = ModuleType("fairseq.tasks.of_somebody")
    for name in ("fairseq", "fairseq.tasks"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    here = {"__module__": module.__name__, "__setstate__": lambda *_: ran.append("state")}
    dictionary = type("Dictionary", (), here)
    mode = enum.Enum("Mode", {"FAST": "fast"}, module=module.__name__)
    config = dataclasses.make_dataclass("Config", [("rate", int), ("mode", mode)])
    config.__module__ = module.__name__
    for kind in (dictionary, mode, config):
        setattr(module, kind.__name__, kind)
    words = dictionary()
    words.symbols = ["<s>", "a"]
    settings = {
        "args": argparse.Namespace(arch="av_hubert", layers=24),
        "cfg": config(25, mode.FAST),
        "task_state": {"dictionaries": [words], "kind": dictionary},
        "extra_state": {"loss": np.float64(0.5), "best": np.float32(1), "curve": np.arange(3), "at": Path("a/b")},
        "optimizer_history": [{"num_updates": 10}],
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.ones(2)}}},
    }
    return settings, ran


@FORMATS
def test_weights_are_read_without_the_code_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    with monkeypatch.context() as installed:
        settings, ran = settings_of_a_task(installed)
        path = save(tmp_path / "a.pt", {**settings, "model": WEIGHTS}, zipped=zipped)
    assert "fairseq.tasks.of_somebody" not in sys.modules
    found = fairseq_weights(path, "")
    assert found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype
    assert not ran
    assert "fairseq" not in sys.modules
    content = read_checkpoint(path, "", with_settings=True, settings_of=ANY_MODULE)
    for thing in (
        content["args"],
        content["cfg"],
        content["task_state"]["dictionaries"][0],
        content["extra_state"]["loss"],
    ):
        assert type(thing).__name__ == "_Inert"
        assert not vars(thing)
    assert content["optimizer_history"] == [{"num_updates": 10}]


ATTACKS: dict[str, Callable[[str], Calls]] = {
    "eval": lambda mark: Calls(eval, f"open({mark!r}, 'w').close()"),
    "exec": lambda mark: Calls(exec, f"open({mark!r}, 'w').close()"),
    "open": lambda mark: Calls(open, mark, "w"),
    "save": lambda mark: Calls(torch.save, {}, mark),
    "run": lambda mark: Calls(subprocess.call, ["touch", mark]),
    # refused even without inert objects: the result of a call, or a shell
    "method": lambda mark: Calls(Path.touch, Path(mark)),
    "system": lambda mark: Calls(os.system, f"touch {mark}"),
}
REFUSED = ("method", "system")


@FORMATS
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_malicious_file_does_nothing(tmp_path: Path, attack: str, zipped: bool) -> None:
    mark = tmp_path / "ran"
    path = save(tmp_path / "bad.pt", {"args": ATTACKS[attack](str(mark)), "model": WEIGHTS}, zipped=zipped)
    if attack in REFUSED:
        with pytest.raises(F2VError, match="more than plain weights"):
            fairseq_weights(path, "")
    else:
        assert torch.equal(fairseq_weights(path, "")["encoder.weight"], WEIGHTS["encoder.weight"])
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # the attack is one


@FORMATS
def test_code_in_place_of_a_weight_is_refused(tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "ran"
    for number, bad in enumerate((Calls(open, str(mark), "w"), argparse.Namespace(), "a string", None)):
        path = save(tmp_path / f"{number}.pt", {"model": {**WEIGHTS, "bad": bad}}, zipped=zipped)
        with pytest.raises(F2VError, match=r"has more than weights under 'model': 'bad' is no tensor"):
            fairseq_weights(path, "get it")
    assert not mark.exists()
    assert not list(cache_folder("fairseq").glob("*"))


@FORMATS
def test_an_import_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    path = save(tmp_path / "a.pt", {"model": WEIGHTS}, zipped=zipped)
    imported = import_fairseq(path, "")
    assert imported == cache_folder("fairseq") / f"{file_sha256(path)}.safetensors"
    assert [child.name for child in imported.parent.iterdir()] == [imported.name]
    with safe_open(imported, "pt") as file:
        assert file.metadata() == {"file": "a.pt", "sha256": file_sha256(path)}

    def never(*_: object, **__: object) -> None:
        raise AssertionError("unpickled again")

    monkeypatch.setattr(fairseq, "read_checkpoint", never)
    copy = path.rename(tmp_path / "b.pt")  # the same bytes under another name
    assert import_fairseq(copy, "") == imported
    for source in (copy, imported):
        assert torch.equal(fairseq_weights(source, "")["steps"], WEIGHTS["steps"])


def test_tied_and_sliced_weights_are_stored_separately(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save(tmp_path / "a.pt", {"model": {"in": whole, "out": whole, "part": whole[2:4]}}, zipped=True)
    found = fairseq_weights(tmp_path / "a.pt", "")
    assert torch.equal(found["in"], whole)
    assert torch.equal(found["out"], whole)
    assert torch.equal(found["part"], whole[2:4])


def test_bare_weights_are_imported_too(tmp_path: Path) -> None:
    found = fairseq_weights(save(tmp_path / "a.pth", WEIGHTS, zipped=True), "")
    assert torch.equal(found["encoder.weight"], WEIGHTS["encoder.weight"])


@pytest.mark.parametrize("content", [{"model": {}}, {"model": [1]}, {"epoch": 3}, {"model": {3: torch.ones(1)}}, {}])
def test_other_files_are_reported(tmp_path: Path, content: object) -> None:
    path = save(tmp_path / "a.pt", content, zipped=True)
    with pytest.raises(F2VError, match=r"a\.pt'") as refused:
        fairseq_weights(path, "get it again")
    assert refused.value.do == "get it again"


def test_damaged_files_are_reported(tmp_path: Path) -> None:
    for name in ("a.pt", "a.safetensors"):
        with pytest.raises(F2VError, match="is not a file"):
            fairseq_weights(tmp_path / name, "")
        for content in (b"", b"not a checkpoint", pickle.dumps(4), b"\x80\x02c"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(F2VError, match="cannot be read"):
                fairseq_weights(tmp_path / name, "")


@FORMATS
def test_truncated_files_are_reported(tmp_path: Path, zipped: bool) -> None:
    content = {"args": argparse.Namespace(rate=25, name="a"), "model": {"w": torch.ones(2)}, "steps": 70_000}
    whole = save(tmp_path / "whole.pt", content, zipped=zipped).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(F2VError, match=r"cut\.pt' cannot be read as weights"):
            fairseq_weights(tmp_path / "cut.pt", "")


def test_a_read_only_cache_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "file"))
    with pytest.raises(F2VError, match="cannot be written to"):
        import_fairseq(save(tmp_path / "a.pt", {"model": WEIGHTS}, zipped=True), "")
