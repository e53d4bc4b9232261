"""File of a pre-trained decoder: one safetensors file that initializes any training of the same system.

Its tensors are those of the autoencoder, with plain batch norms; ``audio_frontend.*`` are audio encoder and bottleneck.
The metadata hold, under ``audio_decoder``, the system, its settings, the means and deviations of the features, and a
description of the training data.
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

from f2v_bench.config import as_mapping, from_mapping
from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS
from f2v_bench.nn.layers.domain_batchnorm import to_domain_state
from f2v_bench.training.run_dir import rename_part
from f2v_bench.utils.paths import atomic_path

FORMAT = 3
AUDIO_FRONTEND = "audio_frontend."  # prefix of audio encoder and bottleneck
_METADATA_KEY = "audio_decoder"
_EARLIER_FORMAT = 2
_EARLIER_FIELDS = {"standard": "statistics", "heard": "trained_on"}
_EARLIER_TENSORS = (*LAYER_KEYS, (r"^model\.hearing\.", f"model.{AUDIO_FRONTEND}"))


class PretrainedDecoder(NamedTuple):
    """Weights of a pre-trained decoder and the statistics that they assume.

    Attributes:
        path: path of the file.
        statistics: means and deviations by feature.
        trained_on: description of the training data, for tables.
        state: state dict of the autoencoder.
    """

    path: Path
    statistics: Mapping[str, tuple[float, float]]
    trained_on: str
    state: Mapping[str, torch.Tensor]

    def load_pretrained(self, module: nn.Module, prefix: str) -> None:
        """Initialize a module with the weights of a prefix; all domains of its batch norms get the same values.

        Raises:
            F2VError: weights of another size.
        """
        state = {name.removeprefix(prefix): one for name, one in self.state.items() if name.startswith(prefix)}
        try:
            module.load_state_dict(to_domain_state(module, state))
        except (RuntimeError, KeyError) as error:
            why = str(error).strip().split("\n")[-1].strip()[:200]
            raise F2VError(f"'{self.path}' does not fit {type(module).__name__}: {why}", _hint(self.path)) from error


def write_pretrained(
    path: Path,
    system: str,
    config: Any,
    statistics: Mapping[str, tuple[float, float]],
    trained_on: str,
    state: Mapping[str, torch.Tensor],
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: path of the file.
        system: name of the system, as in ``--model``.
        config: settings of the autoencoder.
        statistics: means and deviations by feature.
        trained_on: description of the training data.
        state: state dict of the autoencoder.
    """
    head = {
        "format": FORMAT,
        "system": system,
        "config": as_mapping(config),
        "statistics": dict(statistics),
        "trained_on": trained_on,
    }
    with atomic_path(path) as part:
        tensors = {name: one.contiguous().cpu() for name, one in state.items()}
        save_file(tensors, part, metadata={_METADATA_KEY: json.dumps(head)})


def read_pretrained(
    path: Path,
    system: str,
    config: Any,
    sizes: Sequence[str],
    renamed_keys: Sequence[tuple[str, str]] = (),
    aliases: Sequence[str] = (),
) -> PretrainedDecoder:
    """Read the file for a model.

    Args:
        path: path of the file.
        system: name of the system, as in ``--model``.
        config: settings of the model to initialize.
        sizes: settings, ``a`` or ``a.b``, that must be equal and that no shape of a weight shows.
        renamed_keys: patterns and replacements of the model's tensor names in files of format 2.
        aliases: other names of the system, under which earlier versions wrote the file.

    Raises:
        F2VError: no such file, another kind of file, or a decoder of another system or with other settings.
    """
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {})[_METADATA_KEY])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        if head["format"] == _EARLIER_FORMAT:
            head = {_EARLIER_FIELDS.get(name, name): value for name, value in head.items()} | {"format": FORMAT}
            state = rename_part(state, "model", (*_EARLIER_TENSORS, *renamed_keys))
        if head["format"] != FORMAT:
            raise F2VError(f"'{path}' has format {head['format']}, this version reads {FORMAT}", _hint(path))
        if head["system"] not in (system, *aliases):
            raise F2VError(f"'{path}' is a decoder of '{head['system']}', not of '{system}'", _hint(path))
        theirs, trained_on = head["config"], str(head["trained_on"])
        statistics = {name: (float(mean), float(deviation)) for name, (mean, deviation) in head["statistics"].items()}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise F2VError(f"'{path}' is not a pre-trained audio decoder: {error}", _hint(path)) from error
    ours, theirs = as_mapping(config), as_mapping(from_mapping(type(config), theirs))
    for name in sizes:
        now, before = (reduce(lambda tree, key: tree.get(key, {}), name.split("."), one) for one in (ours, theirs))
        if now != before:
            raise F2VError(
                f"'{path}' was trained with other settings under '{name}': {before!r}, not {now!r}", _hint(path)
            )
    return PretrainedDecoder(path, statistics, trained_on, state)


def _hint(path: Path) -> str:
    return f"use the settings that '{path.name}' was trained with, or pre-train one: f2v-bench train --stage audio"
