"""Directory of a training: settings, shared stages and checkpoints, with names of earlier versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.training.run_dir import TrainingDir
from f2v_bench.training.trainer import CHECKPOINT

STAGES = ("lips", "vocoder", "main")
CONFIG = SharedConfig()


def training_dir(path: Path, config: SharedConfig = CONFIG, base: Path | None = None) -> TrainingDir:
    return TrainingDir(path, STAGES, config, base, ((r"^model\.front\.", "model.frontend."),))


def write_checkpoint(path: Path, stage: str, content: dict[str, Any]) -> None:
    (path / stage).mkdir(parents=True)
    torch.save(content, path / stage / CHECKPOINT)


def earlier_settings(config: SharedConfig) -> dict[str, Any]:
    """Return settings under the names of the version before."""
    settings = as_mapping(config)
    training = settings.pop("lip_encoder_training")
    training["hidden"], training["span"] = training.pop("mask_prob"), training.pop("mask_length")
    return settings | {"teaching": training}


def test_settings_of_a_directory_are_locked(tmp_path: Path) -> None:
    training_dir(tmp_path).lock_settings(0, "demo/train")
    longer = replace(CONFIG, main_stage=replace(CONFIG.main_stage, steps=7))
    training_dir(tmp_path, longer).lock_settings(0, "demo/train")
    with pytest.raises(F2VError, match="other settings under 'seed': 0, not 1"):
        training_dir(tmp_path).lock_settings(1, "demo/train")
    with pytest.raises(F2VError, match="other settings under 'units'"):
        training_dir(tmp_path, replace(CONFIG, units=replace(CONFIG.units, count=7))).lock_settings(0, "demo/train")


def test_earlier_names_of_settings_are_read(tmp_path: Path) -> None:
    earlier = earlier_settings(CONFIG) | {"seed": 0, "trained_on": "demo/train"}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(earlier))
    training_dir(tmp_path).lock_settings(0, "demo/train")
    assert "lip_encoder_training" in yaml.safe_load((tmp_path / "settings.yaml").read_text())


def test_earlier_values_of_a_base_are_read(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    earlier = earlier_settings(CONFIG)
    assert earlier["lips"]["encoder"] == "small"
    earlier["lips"]["encoder"] = "stand-in"
    (base / "settings.yaml").write_text(yaml.safe_dump(earlier))
    training_dir(tmp_path / "out", base=base).lock_settings(0, "demo/train")
    earlier["units"]["count"] += 1
    (base / "settings.yaml").write_text(yaml.safe_dump(earlier))
    with pytest.raises(F2VError, match="other settings under 'units'"):
        training_dir(tmp_path / "out", base=base).lock_settings(0, "demo/train")


@pytest.mark.parametrize("field", ["statistics", "standard"])
def test_statistics_are_read_under_both_names(tmp_path: Path, field: str) -> None:
    write_checkpoint(tmp_path, "main", {"hyper_parameters": {field: {"mel": (-5.0, 2.0)}}})
    assert training_dir(tmp_path).statistics("main") == {"mel": (-5.0, 2.0)}


def test_earlier_tensor_names_of_layers_and_models_are_read(tmp_path: Path) -> None:
    state = {"ema.average.front.enter.weight": torch.ones(2), "network.front.enter.weight": torch.zeros(2)}
    write_checkpoint(tmp_path, "main", {"state_dict": state})
    found = training_dir(tmp_path).ema_state("main")
    assert set(found) == {"frontend.in_proj.weight"}
    assert torch.equal(found["frontend.in_proj.weight"], torch.ones(2))
