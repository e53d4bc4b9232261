"""Weights of fairseq's checkpoints, read without fairseq and without the code that they name.

Besides the weights, such a file has the settings of the training, as pickled objects of fairseq, argparse, OmegaConf,
NumPy and the authors' own task. The file is read once, with an inert object in place of each of them, and its weights
are cached as safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from f2v_bench.assets import file_sha256
from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.torch import ANY_MODULE, read_checkpoint
from f2v_bench.utils.paths import atomic_path, cache_folder

SUFFIX = ".safetensors"


def import_fairseq(path: Path, instructions: str) -> Path:
    """Convert the weights of a checkpoint to safetensors, in the cache under the SHA-256 of the checkpoint.

    Args:
        path: file of ``torch.save``, in either of its formats: a checkpoint of fairseq with weights under ``model``, or
            bare named weights.
        instructions: hint for the error message, on getting the file.

    Returns:
        File of this or of an earlier import of the same bytes; in the latter case nothing is unpickled.

    Raises:
        F2VError: the file cannot be read, needs code that is never allowed, or has no named weights; or the cache
            cannot be written.
    """
    digest = file_sha256(_existing(path, instructions))
    imported = cache_folder("fairseq") / f"{digest}{SUFFIX}"
    if not imported.is_file():
        weights = _plain(_model(path, instructions), path, instructions)
        try:
            with atomic_path(imported) as part:
                save_file(weights, part, {"file": path.name, "sha256": digest})
        except (OSError, SafetensorError) as error:
            raise F2VError(
                f"the weights of '{path}' cannot be written to '{imported.parent}': {error}",
                "free some space, or set F2V_CACHE to a writable folder",
            ) from error
    return imported


def fairseq_weights(path: Path, instructions: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint by name; it is imported first unless it is a safetensors file.

    Raises:
        F2VError: errors of ``import_fairseq``, or no safetensors.
    """
    imported = _existing(path, instructions) if path.suffix == SUFFIX else import_fairseq(path, instructions)
    try:
        return load_file(imported)
    except (OSError, SafetensorError) as error:
        hint = instructions if imported == path else f"delete '{imported}', which is then created again"
        raise F2VError(f"'{imported}' cannot be read as weights: {error}", hint) from error


def _existing(path: Path, instructions: str) -> Path:
    if not path.is_file():
        raise F2VError(f"'{path}' is not a file", instructions)
    return path


def _model(path: Path, instructions: str) -> Mapping[Any, Any]:
    content = read_checkpoint(path, instructions, with_settings=True, settings_of=ANY_MODULE)
    model = content.get("model", content)
    if not isinstance(model, Mapping) or not model:
        raise F2VError(f"'{path}' is no checkpoint of fairseq: no weights under 'model'", instructions)
    return model


def _plain(model: Mapping[Any, Any], path: Path, instructions: str) -> dict[str, torch.Tensor]:
    """Return tensors that safetensors can store: contiguous, each with its own memory, on the CPU."""
    for name, tensor in model.items():
        dense = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided and not tensor.is_quantized
        if not isinstance(name, str) or not dense or tensor.device.type != "cpu":
            raise F2VError(
                f"'{path}' has more than weights under 'model': {str(name)[:100]!r} is no tensor", instructions
            )
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in model.items()}
