"""The file of a pre-trained decoder: one safetensors that any training of the same system may begin with.

Tensors ``decoder.*`` are the decoder's own, with plain batch norms; ``hearing.*`` are audio encoder and bottleneck,
for trainings that go on hearing. The head says, under ``audio_decoder``, which system it is of, its settings, the
mean and deviation of log mels that it stands on, and what it has heard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from baselines.audio_pretraining.config import V2AConfig
from baselines.audio_pretraining.model import V2A
from f2v_bench.errors import F2VError
from f2v_bench.folders import replacing
from f2v_bench.nn.domain_norm import undivided
from f2v_bench.training.settings import as_mapping

FORMAT = 1
DECODER, HEARING = "decoder.", "hearing."
_HEAD = "audio_decoder"
_SIZES = ("conformer", "speaker", "rate")  # that no shape of a weight gives away
_TITLE = "a pre-trained audio decoder"


class Pretrained(NamedTuple):
    """What is handed over.

    Attributes:
        path: of the file.
        standard: mean and deviation of log mels.
        heard: what it has heard, for tables.
        state: of the autoencoder.
    """

    path: Path
    standard: tuple[float, float]
    heard: str
    state: Mapping[str, torch.Tensor]

    def hand_over(self, model: V2A) -> None:
        """Let a model begin with these weights; both domains of its decoder begin alike.

        Raises:
            F2VError: weights of another size.
        """
        self._fill(model.decoder, DECODER)
        if model.hearing is not None:
            self._fill(model.hearing, HEARING)

    def _fill(self, part: nn.Module, prefix: str) -> None:
        own = {name.removeprefix(prefix): one for name, one in self.state.items() if name.startswith(prefix)}
        try:
            part.load_state_dict(undivided(part, own))
        except (RuntimeError, KeyError) as error:
            why = str(error).strip().split("\n")[-1].strip()[:200]
            raise F2VError(f"'{self.path}' does not fit {type(part).__name__}: {why}", _again(self.path)) from error


def write_pretrained(
    path: Path,
    system: str,
    config: V2AConfig,
    standard: tuple[float, float],
    heard: str,
    state: Mapping[str, torch.Tensor],
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: of the file.
        system: as ``--model`` says it.
        config: of the autoencoder.
        standard: mean and deviation of log mels.
        heard: what it has heard.
        state: of the autoencoder.
    """
    head = {
        "format": FORMAT, "system": system, "config": as_mapping(config), "standard": standard, "heard": heard,
    }  # fmt: skip
    with replacing(path) as part:
        tensors = {name: one.contiguous().cpu() for name, one in state.items()}
        save_file(tensors, part, metadata={_HEAD: json.dumps(head)})


def read_pretrained(path: Path, system: str, config: V2AConfig) -> Pretrained:
    """Read the file for a model.

    Args:
        path: of the file.
        system: as ``--model`` says it.
        config: of the model that begins with it.

    Raises:
        F2VError: no such file, another kind of file, or a decoder of another system or with other settings.
    """
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {})[_HEAD])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        mean, deviation = head["standard"]
        if head["format"] != FORMAT:
            raise F2VError(f"'{path}' has format {head['format']}, this version reads {FORMAT}", _again(path))
        if head["system"] != system:
            raise F2VError(f"'{path}' is a decoder of '{head['system']}', not of '{system}'", _again(path))
        theirs, heard = head["config"], str(head["heard"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise F2VError(f"'{path}' is no file of {_TITLE}: {error}", _again(path)) from error
    ours = as_mapping(config)
    for name in _SIZES:
        if ours.get(name) != theirs.get(name):
            raise F2VError(
                f"'{path}' was trained with other settings under '{name}': "
                f"{theirs.get(name)!r}, not {ours.get(name)!r}",
                _again(path),
            )
    return Pretrained(path, (float(mean), float(deviation)), heard, state)


def _again(path: Path) -> str:
    return f"use the settings that '{path.name}' was trained with, or pre-train one: f2v-bench train --stage audio"
