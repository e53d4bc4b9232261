"""Published weights into our modules: plain tensors only, every name and shape accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from f2v_bench.errors import F2VError

#: libraries whose settings lie beside the weights of published checkpoints
_SETTINGS_OF = ("omegaconf.", "pytorch_lightning.", "lightning.", "lightning_fabric.", "typing.")


class _Inert:
    """Takes the place of a training library's object: it keeps nothing and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def read_checkpoint(path: Path, get_again: str, *, with_settings: bool = False) -> dict[str, Any]:
    """What ``torch.save`` wrote, restricted to tensors and plain containers.

    Args:
        path: the file.
        get_again: how a person gets a sound copy, for the error message.
        with_settings: the file may hold objects of OmegaConf and Lightning beside its tensors. They are replaced by
            objects that do nothing: none of their code is imported, let alone run.

    Raises:
        F2VError: the file cannot be read, or holds anything else.
    """
    try:
        inert: list[Any] = []
        if with_settings:
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            inert = [(_Inert, name) for name in names if name.startswith(_SETTINGS_OF)]
        with torch.serialization.safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, UnpicklingError) as error:
        # torch's text to an UnpicklingError advises to run what the file holds
        why = "it holds more than plain weights" if isinstance(error, UnpicklingError) else str(error).split("\n")[0]
        raise F2VError(f"'{path}' cannot be read as weights: {why}", get_again) from error
    if not isinstance(content, dict):
        raise F2VError(f"'{path}' holds a {type(content).__name__}, not named weights", get_again)
    return content


def load_weights(module: torch.nn.Module, weights: Mapping[str, Any], path: Path, get_again: str) -> None:
    """Fill every tensor of a module, and nothing but; the module is then ready for inference.

    Args:
        module: ours, with the published names.
        weights: name to tensor; names that the module lacks are an error, as are missing ones and other shapes.
        path: where they come from, for the message.
        get_again: as ``read_checkpoint``.

    Raises:
        F2VError: the two do not fit.
    """
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError, AttributeError) as error:
        lines = str(error).strip().split("\n")
        raise F2VError(
            f"'{path}' does not fit {type(module).__name__}: {lines[min(1, len(lines) - 1)].strip()[:300]}", get_again
        ) from error
    module.requires_grad_(False).eval()
