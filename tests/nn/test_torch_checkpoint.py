from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint

RAN: list[str] = []


def foreign_class(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> type:
    """Create a class of a package that is missing when the file is read."""
    monkeypatch.setitem(sys.modules, module.partition(".")[0], ModuleType(module.partition(".")[0]))
    package = ModuleType(module)
    kind = type(name, (), {"__module__": module, "__setstate__": lambda *_: RAN.append(name)})
    setattr(package, name, kind)
    monkeypatch.setitem(sys.modules, module, package)
    return kind


def test_settings_of_a_training_library_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the authors' UTMOS checkpoint: OmegaConf's containers and Lightning's callbacks besides the weights."""
    with monkeypatch.context() as installed:
        settings = foreign_class("omegaconf.dictconfig", "DictConfig", installed)()
        settings.content = {"rate": 16_000}
        callback = foreign_class("pytorch_lightning.callbacks", "ModelCheckpoint", installed)
        torch.save({"state_dict": {"w": torch.ones(2)}, "cfg": settings, callback: {"a": 1}}, tmp_path / "a.ckpt")
    assert "omegaconf.dictconfig" not in sys.modules
    content = read_checkpoint(tmp_path / "a.ckpt", "", with_settings=True)
    assert content["state_dict"]["w"].tolist() == [1, 1]
    assert not RAN
    with pytest.raises(F2VError, match="more than plain weights"):
        read_checkpoint(tmp_path / "a.ckpt", "")


def test_other_code_is_refused(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()",)

    torch.save({"state_dict": Payload()}, tmp_path / "bad.pt")
    with pytest.raises(F2VError, match=r"bad\.pt' cannot be read as weights: it has more than plain weights"):
        read_checkpoint(tmp_path / "bad.pt", "", with_settings=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cut.pt").write_bytes(content)
    for with_settings in (False, True):
        with pytest.raises(F2VError, match=r"cut\.pt' cannot be read"):
            read_checkpoint(tmp_path / "cut.pt", "get it again", with_settings=with_settings)


def test_missing_and_unknown_tensors_are_reported(tmp_path: Path) -> None:
    good = torch.nn.Linear(2, 2).state_dict()
    target = torch.nn.Linear(2, 2)
    load_weights(target, good, tmp_path, "")
    assert not target.training
    assert not target.weight.requires_grad
    for bad, why in (
        ({"weight": good["weight"]}, "Missing"),
        ({**good, "more": torch.zeros(1)}, "Unexpected"),
        ({**good, "bias": torch.zeros(3)}, "size mismatch"),
    ):
        with pytest.raises(F2VError, match=why):
            load_weights(torch.nn.Linear(2, 2), bad, tmp_path, "")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(F2VError, match="contains a list"):
        read_checkpoint(tmp_path / "list.pt", "")
