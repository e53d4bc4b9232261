"""The file of a pre-trained decoder: one safetensors that any training of the same system may begin with.

Its tensors are those of the autoencoder, with plain batch norms; ``hearing.*`` are audio encoder and bottleneck, for
trainings that go on hearing. The head says, under ``audio_decoder``, which system it is of, its settings, the means and
deviations that it stands on, and what it has heard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.nn.layers.domain_batchnorm import to_domain_state
from f2v_bench.utils.paths import atomic_path

FORMAT = 2
AUDIO_FRONTEND = "hearing."
_HEAD = "audio_decoder"
_TITLE = "a pre-trained audio decoder"


class PretrainedDecoder(NamedTuple):
    """What is handed over.

    Attributes:
        path: of the file.
        standard: means and deviations by name.
        heard: what it has heard, for tables.
        state: of the autoencoder.
    """

    path: Path
    standard: Mapping[str, tuple[float, float]]
    heard: str
    state: Mapping[str, torch.Tensor]

    def load_pretrained(self, part: nn.Module, prefix: str) -> None:
        """Let a part of a model begin with the weights of these names; all domains of its batch norms begin alike.

        Raises:
            F2VError: weights of another size.
        """
        own = {name.removeprefix(prefix): one for name, one in self.state.items() if name.startswith(prefix)}
        try:
            part.load_state_dict(to_domain_state(part, own))
        except (RuntimeError, KeyError) as error:
            why = str(error).strip().split("\n")[-1].strip()[:200]
            raise F2VError(f"'{self.path}' does not fit {type(part).__name__}: {why}", _again(self.path)) from error


def write_pretrained(
    path: Path,
    system: str,
    config: Any,
    standard: Mapping[str, tuple[float, float]],
    heard: str,
    state: Mapping[str, torch.Tensor],
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: of the file.
        system: as ``--model`` says it.
        config: of the autoencoder.
        standard: means and deviations by name.
        heard: what it has heard.
        state: of the autoencoder.
    """
    head = {
        "format": FORMAT, "system": system, "config": as_mapping(config), "standard": dict(standard), "heard": heard,
    }  # fmt: skip
    with atomic_path(path) as part:
        tensors = {name: one.contiguous().cpu() for name, one in state.items()}
        save_file(tensors, part, metadata={_HEAD: json.dumps(head)})


def read_pretrained(path: Path, system: str, config: Any, sizes: Sequence[str]) -> PretrainedDecoder:
    """Read the file for a model.

    Args:
        path: of the file.
        system: as ``--model`` says it.
        config: of the model that begins with it.
        sizes: settings, ``a`` or ``a.b``, that no shape of a weight gives away, and that must be the same.

    Raises:
        F2VError: no such file, another kind of file, or a decoder of another system or with other settings.
    """
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {})[_HEAD])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            state = rename_keys(state, LAYER_KEYS)
        if head["format"] != FORMAT:
            raise F2VError(f"'{path}' has format {head['format']}, this version reads {FORMAT}", _again(path))
        if head["system"] != system:
            raise F2VError(f"'{path}' is a decoder of '{head['system']}', not of '{system}'", _again(path))
        theirs, heard = head["config"], str(head["heard"])
        standard = {name: (float(mean), float(deviation)) for name, (mean, deviation) in head["standard"].items()}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise F2VError(f"'{path}' is no file of {_TITLE}: {error}", _again(path)) from error
    ours = as_mapping(config)
    for name in sizes:
        now, before = (reduce(lambda tree, key: tree.get(key, {}), name.split("."), one) for one in (ours, theirs))
        if now != before:
            raise F2VError(
                f"'{path}' was trained with other settings under '{name}': {before!r}, not {now!r}", _again(path)
            )
    return PretrainedDecoder(path, standard, heard, state)


def _again(path: Path) -> str:
    return f"use the settings that '{path.name}' was trained with, or pre-train one: f2v-bench train --stage audio"
