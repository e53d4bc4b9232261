"""Loading of published weights: plain tensors only, with every name and shape checked."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch._weights_only_unpickler import get_globals_in_pkl

from f2v_bench.errors import F2VError

#: libraries whose settings are stored in published checkpoints besides the weights
LIGHTNING = ("omegaconf.", "pytorch_lightning.", "lightning.", "lightning_fabric.", "typing.")
ANY_MODULE = ("",)  # prefix of every name
_ZIP = b"PK\x03\x04"


class _Inert:
    """Replacement of an object of a training library, without state and behavior."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def read_checkpoint(
    path: Path, instructions: str, *, with_settings: bool = False, settings_of: tuple[str, ...] = LIGHTNING
) -> dict[str, Any]:
    """Read a file of ``torch.save``, restricted to tensors and plain containers.

    Args:
        path: file to read.
        instructions: hint for the error message, on getting the file.
        with_settings: allow objects of a training library besides tensors. They are replaced by inert objects; none of
            their code is imported or run.
        settings_of: prefixes of the names of their classes and functions; ``ANY_MODULE`` matches all.

    Raises:
        F2VError: the file cannot be read, or has any other content.
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
        # torch's message of an UnpicklingError advises to run the code of the file
        why = "it has more than plain weights" if isinstance(error, UnpicklingError) else str(error).split("\n")[0]
        raise F2VError(f"'{path}' cannot be read as weights: {why}", instructions) from error
    if not isinstance(content, dict):
        raise F2VError(f"'{path}' contains a {type(content).__name__}, not named weights", instructions)
    return content


def _foreign_names(path: Path) -> Iterable[str]:
    """Return the classes and functions that a file of ``torch.save`` names, without importing them."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            return torch.serialization.get_unsafe_globals_in_checkpoint(path)
        file.seek(0)  # torch before 1.6: four pickles (number, version, machine, content), then the tensors
        return {name for _ in range(4) for name in get_globals_in_pkl(file)}


def load_weights(module: torch.nn.Module, weights: Mapping[str, Any], path: Path, instructions: str) -> None:
    """Load weights into a module, and prepare it for inference.

    Args:
        module: module with the published names.
        weights: tensors by name, exactly those of the module.
        path: file of the weights, for the error message.
        instructions: hint for the error message, on getting the file.

    Raises:
        F2VError: missing or unknown names, or other shapes.
    """
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError, AttributeError) as error:
        lines = str(error).strip().split("\n")
        raise F2VError(
            f"'{path}' does not fit {type(module).__name__}: {lines[min(1, len(lines) - 1)].strip()[:300]}",
            instructions,
        ) from error
    module.requires_grad_(False).eval()
