"""Centres of a published k-means, read without the library that wrote them.

scikit-learn's models are pickled by joblib, which lays the numbers of each array between the pickle's instructions. Of
such a file only ``cluster_centers_`` is wanted: every class and function that it names is replaced by one object that
does nothing but hold what it is given, and arrays are read here, plain values only.
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


class _Held:
    """Takes the place of anything that the file names; ``arguments`` and ``state`` are what the file says of it."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any, **_: Any) -> _Held:
        held = super().__new__(cls)
        held.arguments, held.state = arguments, None
        return held

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Held:
        return _Held()

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass


class _Type(_Held):
    """In place of ``numpy.dtype``."""

    def dtype(self) -> np.dtype[Any]:
        code = self.arguments[0]
        order = self.state[1] if self.state else "="
        if not isinstance(code, str) or not _PLAIN.fullmatch(code) or order not in tuple("<>|="):
            raise pickle.UnpicklingError(f"an array of '{code}' holds more than plain values")
        return np.dtype(order + code)


class _Array(_Held):
    """In place of joblib's ``NumpyArrayWrapper``: the numbers follow in the file."""

    def read(self, file: BinaryIO, most: int) -> NDArray[Any]:
        """The array, of at most ``most`` bytes."""
        dtype, shape = self.state["dtype"].dtype(), self.state["shape"]
        size = math.prod(int(n) for n in shape) * dtype.itemsize
        if not 0 <= size <= most:
            raise pickle.UnpicklingError(f"an array of shape {shape} does not fit into the file")
        if self.state.get("numpy_array_alignment_bytes") is not None:  # joblib 1.2 and later
            file.read(file.read(1)[0])
        return np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if self.state["order"] == "F" else "C")


_PLACES = {("numpy", "dtype"): _Type, ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array}


class _Reader(pickle._Unpickler):  # the one in Python reads the file step by step, so that arrays may lie between
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file)
        self.file = file
        self.size = size

    def find_class(self, module: str, name: str) -> Any:
        """Never the class or function itself."""
        return _PLACES.get((module, name), _Held)

    def load_build(self) -> None:
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        state, held = stack.pop(), stack[-1]
        if not isinstance(held, _Held):
            raise pickle.UnpicklingError(f"the file changes a {type(held).__name__}")
        held.state = state
        if isinstance(held, _Array):
            stack[-1] = held.read(self.file, self.size)

    dispatch[pickle.BUILD[0]] = load_build


def read_centres(path: Path, get_again: str) -> NDArray[np.float32]:
    """Centres of clusters, float32 ``(clusters, dimensions)``.

    Args:
        path: an array as ``.npy``; ``.safetensors`` with one tensor; or a k-means of scikit-learn that joblib wrote,
            uncompressed, as ``km.bin`` of the textless NLP project.
        get_again: how a person gets a sound copy, for the error message.

    Raises:
        F2VError: the file cannot be read, or holds no centres.
    """
    from safetensors import SafetensorError

    reader = {".npy": _from_array, ".safetensors": _from_safetensors}.get(path.suffix, _from_joblib)
    try:
        centers = reader(path)
    except (*_MALFORMED, SafetensorError) as error:
        raise F2VError(f"'{path}' cannot be read as centres of clusters: {error}", get_again) from error
    if not isinstance(centers, np.ndarray) or centers.ndim != 2 or centers.dtype.kind != "f" or not centers.size:
        raise F2VError(f"'{path}' holds no centres of clusters", get_again)
    if not np.isfinite(centers).all():
        raise F2VError(f"'{path}' holds centres that are not finite", get_again)
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
