"""File of a pre-trained decoder, in this version's format and in the one before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.modeling.audio_encoder import AudioPretrainingConfig
from f2v_bench.training.audio_checkpoint import FORMAT, read_pretrained, write_pretrained

CONFIG = AudioPretrainingConfig()
STATE = {"decoder.in_proj.weight": torch.arange(6.0).reshape(2, 3), "audio_frontend.x": torch.ones(1)}
STATISTICS = {"mel": (-5.0, 2.0)}


def write(path: Path, head: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    save_file(state, path, metadata={"audio_decoder": json.dumps(head)})


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "decoder.safetensors"
    write_pretrained(path, "v2a-mel", CONFIG, STATISTICS, "2 h of noise", STATE)
    decoder = read_pretrained(path, "v2a-mel", CONFIG, ["preset"])
    assert (decoder.statistics, decoder.trained_on) == (STATISTICS, "2 h of noise")
    assert {name: one.tolist() for name, one in decoder.state.items()} == {n: t.tolist() for n, t in STATE.items()}
    module = nn.ModuleDict({"in_proj": nn.Linear(3, 2, bias=False)})
    decoder.load_pretrained(module, "decoder.")
    assert torch.equal(module.get_parameter("in_proj.weight"), STATE["decoder.in_proj.weight"])
    with pytest.raises(F2VError, match="does not fit Linear"):
        decoder.load_pretrained(nn.Linear(2, 2), "decoder.in_proj.")


def test_the_earlier_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "decoder.safetensors"
    settings = as_mapping(CONFIG)
    settings["teaching"] = settings.pop("lip_encoder_training")
    settings["lips"]["encoder"] = "stand-in"
    head = {"format": 2, "system": "v2a-mel", "config": settings, "standard": STATISTICS, "heard": "2 h of noise"}
    write(path, head, {"decoder.enter.weight": torch.zeros(1), "hearing.x": torch.ones(1), "old.y": torch.ones(1)})
    patterns = [(r"^model\.old\.", "model.new.")]
    decoder = read_pretrained(path, "v2a-mel", CONFIG, ["preset", "lips.encoder"], patterns)
    assert (decoder.statistics, decoder.trained_on) == (STATISTICS, "2 h of noise")
    assert set(decoder.state) == {"decoder.in_proj.weight", "audio_frontend.x", "new.y"}


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "decoder.safetensors"
    write_pretrained(path, "v2a-mel", CONFIG, STATISTICS, "2 h of noise", STATE)
    with pytest.raises(F2VError, match="is a decoder of 'v2a-mel', not of 'v2a-wave'"):
        read_pretrained(path, "v2a-wave", CONFIG, [])
    with pytest.raises(F2VError, match="other settings under 'preset'"):
        read_pretrained(path, "v2a-mel", replace(CONFIG, preset="other"), ["preset"])
    head = {"format": FORMAT + 1, "system": "v2a-mel"}
    write(path, head, STATE)
    with pytest.raises(F2VError, match=f"has format {FORMAT + 1}, this version reads {FORMAT}"):
        read_pretrained(path, "v2a-mel", CONFIG, [])
    path.write_bytes(b"no tensors")
    with pytest.raises(F2VError, match="is not a pre-trained audio decoder"):
        read_pretrained(path, "v2a-mel", CONFIG, [])
