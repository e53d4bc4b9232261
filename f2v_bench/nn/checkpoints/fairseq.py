"""fairseq's checkpoints without fairseq: their tensors, and none of the code that they name.

Beside the weights such a file holds the training's settings, as pickled objects of fairseq, argparse, OmegaConf, NumPy
and of whatever task the authors wrote. The file is read once, with an object that does nothing in place of each of
them, and its weights are kept as safetensors in the cache.
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


def import_fairseq(path: Path, get_again: str) -> Path:
    """The weights of a checkpoint as safetensors, in the cache under the SHA-256 of the file that they come from.

    Args:
        path: what ``torch.save`` wrote, in either of its formats: a checkpoint of fairseq (its weights are under
            ``model``), or bare named weights.
        get_again: how a person gets a sound copy, for the error message.

    Returns:
        A file that an earlier import of the same bytes may have made; then nothing is unpickled.

    Raises:
        F2VError: the file cannot be read, asks for code that is never allowed, or holds no named weights; or the cache
            cannot be written.
    """
    digest = file_sha256(_existing(path, get_again))
    imported = cache_folder("fairseq") / f"{digest}{SUFFIX}"
    if not imported.is_file():
        weights = _plain(_model(path, get_again), path, get_again)
        try:
            with atomic_path(imported) as part:
                save_file(weights, part, {"file": path.name, "sha256": digest})
        except (OSError, SafetensorError) as error:
            raise F2VError(
                f"the weights of '{path}' cannot be kept in '{imported.parent}': {error}",
                "free some space, or set F2V_CACHE to a folder that can be written",
            ) from error
    return imported


def fairseq_weights(path: Path, get_again: str) -> dict[str, torch.Tensor]:
    """Name to tensor of a checkpoint, imported first unless it is a file of safetensors.

    Raises:
        F2VError: as ``import_fairseq``, or no safetensors.
    """
    imported = _existing(path, get_again) if path.suffix == SUFFIX else import_fairseq(path, get_again)
    try:
        return load_file(imported)
    except (OSError, SafetensorError) as error:
        again = get_again if imported == path else f"delete '{imported}', which is made anew"
        raise F2VError(f"'{imported}' cannot be read as weights: {error}", again) from error


def _existing(path: Path, get_again: str) -> Path:
    if not path.is_file():
        raise F2VError(f"'{path}' is not a file", get_again)
    return path


def _model(path: Path, get_again: str) -> Mapping[Any, Any]:
    content = read_checkpoint(path, get_again, with_settings=True, settings_of=ANY_MODULE)
    model = content.get("model", content)
    if not isinstance(model, Mapping) or not model:
        raise F2VError(f"'{path}' is no checkpoint of fairseq: it holds no weights under 'model'", get_again)
    return model


def _plain(model: Mapping[Any, Any], path: Path, get_again: str) -> dict[str, torch.Tensor]:
    """Tensors that safetensors can keep: each with its own memory, whole, on the CPU."""
    for name, tensor in model.items():
        dense = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided and not tensor.is_quantized
        if not isinstance(name, str) or not dense or tensor.device.type != "cpu":
            raise F2VError(f"'{path}' holds more than weights under 'model': {str(name)[:100]!r} is none", get_again)
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in model.items()}
