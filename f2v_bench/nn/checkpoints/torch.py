"""Published weights into our modules: plain tensors only, every name and shape accounted for."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch._weights_only_unpickler import get_globals_in_pkl

from f2v_bench.errors import F2VError

#: libraries whose settings lie beside the weights of published checkpoints
LIGHTNING = ("omegaconf.", "pytorch_lightning.", "lightning.", "lightning_fabric.", "typing.")
ANY_MODULE = ("",)  # every name starts so
_ZIP = b"PK\x03\x04"


class _Inert:
    """Takes the place of a training library's object: it keeps nothing and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def read_checkpoint(
    path: Path, get_again: str, *, with_settings: bool = False, settings_of: tuple[str, ...] = LIGHTNING
) -> dict[str, Any]:
    """What ``torch.save`` wrote, restricted to tensors and plain containers.

    Args:
        path: the file.
        get_again: how a person gets a sound copy, for the error message.
        with_settings: the file may hold a training library's objects beside its tensors. They are replaced by objects
            that do nothing: none of their code is imported, let alone run.
        settings_of: whose: how the names of their classes and functions start; ``ANY_MODULE`` is all of them.

    Raises:
        F2VError: the file cannot be read, or holds anything else.
    """
    try:
        inert: list[Any] = []
        if with_settings:
            inert = [(_Inert, name) for name in _foreign_names(path) if name.startswith(settings_of)]
        with torch.serialization.safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        EOFError,
        RuntimeError,
        LookupError,
        TypeError,
        ValueError,
        struct.error,
        UnpicklingError,
    ) as error:
        # torch's text to an UnpicklingError advises to run what the file holds
        why = "it holds more than plain weights" if isinstance(error, UnpicklingError) else str(error).split("\n")[0]
        raise F2VError(f"'{path}' cannot be read as weights: {why}", get_again) from error
    if not isinstance(content, dict):
        raise F2VError(f"'{path}' holds a {type(content).__name__}, not named weights", get_again)
    return content


def _foreign_names(path: Path) -> Iterable[str]:
    """Classes and functions that a file of ``torch.save`` names; none of them is looked up."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            return torch.serialization.get_unsafe_globals_in_checkpoint(path)
        file.seek(0)  # torch before 1.6: four pickles (a number, a version, the machine, the content), then the tensors
        return {name for _ in range(4) for name in get_globals_in_pkl(file)}


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
