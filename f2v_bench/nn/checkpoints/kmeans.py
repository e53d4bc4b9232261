"""Cluster centers of a published k-means, read without the library that wrote them.

scikit-learn's models are pickled by joblib, which stores the values of each array between the pickle's instructions.
Only ``cluster_centers_`` is read: every class and function that the file names is replaced by an inert placeholder, and
arrays of plain values alone are read here.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np

from f2v_bench.errors import F2VError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLAIN = re.compile(r"[fiubcSU]\d+")
_MALFORMED = (
    *(OSError, EOFError, pickle.UnpicklingError, struct.error),
    *(ValueError, TypeError, AttributeError, LookupError, AssertionError, OverflowError, MemoryError),
)


class _Placeholder:
    """Replacement of any class or function that the file names, with its ``arguments`` and ``state`` in the file."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any, **_: Any) -> _Placeholder:
        placeholder = super().__new__(cls)
        placeholder.arguments, placeholder.state = arguments, None
        return placeholder

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Placeholder:
        return _Placeholder()

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass


class _Type(_Placeholder):
    """Replacement of ``numpy.dtype``."""

    def dtype(self) -> np.dtype[Any]:
        code = self.arguments[0]
        order = self.state[1] if self.state else "="
        if not isinstance(code, str) or not _PLAIN.fullmatch(code) or order not in tuple("<>|="):
            raise pickle.UnpicklingError(f"an array of type '{code}' has more than plain values")
        return np.dtype(order + code)


class _Array(_Placeholder):
    """Replacement of joblib's ``NumpyArrayWrapper``; the values follow in the file."""

    def read(self, file: BinaryIO, limit: int) -> NDArray[Any]:
        """Read the array, of at most ``limit`` bytes."""
        dtype, shape = self.state["dtype"].dtype(), self.state["shape"]
        size = math.prod(int(n) for n in shape) * dtype.itemsize
        if not 0 <= size <= limit:
            raise pickle.UnpicklingError(f"an array of shape {shape} does not fit into the file")
        if self.state.get("numpy_array_alignment_bytes") is not None:  # joblib 1.2 and later
            file.read(file.read(1)[0])
        return np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if self.state["order"] == "F" else "C")


_REPLACEMENTS = {("numpy", "dtype"): _Type, ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array}


class _Reader(pickle._Unpickler):  # the Python one reads the file step by step, so that arrays can lie in between
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file)
        self.file = file
        self.size = size

    def find_class(self, module: str, name: str) -> Any:
        """Return a placeholder, never the class or function itself."""
        return _REPLACEMENTS.get((module, name), _Placeholder)

    def load_build(self) -> None:
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        state, target = stack.pop(), stack[-1]
        if not isinstance(target, _Placeholder):
            raise pickle.UnpicklingError(f"the file changes the state of a {type(target).__name__}")
        target.state = state
        if isinstance(target, _Array):
            stack[-1] = target.read(self.file, self.size)

    dispatch[pickle.BUILD[0]] = load_build


def read_centers(path: Path, instructions: str) -> NDArray[np.float32]:
    """Read cluster centers, float32 ``(clusters, dimensions)``.

    Args:
        path: array as ``.npy``; ``.safetensors`` with one tensor; or an uncompressed k-means of scikit-learn from
            joblib, such as ``km.bin`` of the textless NLP project.
        instructions: hint for the error message, on getting the file.

    Raises:
        F2VError: the file cannot be read, or has no cluster centers.
    """
    from safetensors import SafetensorError

    reader = {".npy": _from_array, ".safetensors": _from_safetensors}.get(path.suffix, _from_joblib)
    try:
        centers = reader(path)
    except (*_MALFORMED, SafetensorError) as error:
        raise F2VError(f"'{path}' cannot be read as cluster centers: {error}", instructions) from error
    if not isinstance(centers, np.ndarray) or centers.ndim != 2 or centers.dtype.kind != "f" or not centers.size:
        raise F2VError(f"'{path}' has no cluster centers", instructions)
    if not np.isfinite(centers).all():
        raise F2VError(f"'{path}' has cluster centers that are not finite", instructions)
    return np.array(centers, np.float32)


def _from_array(path: Path) -> Any:
    return np.load(path, allow_pickle=False)


def _from_safetensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    (centers,) = load_file(path).values()
    return centers


def _from_joblib(path: Path) -> Any:
    with path.open("rb") as file:
        model = _Reader(file, path.stat().st_size).load()
    return model.state["cluster_centers_"]
