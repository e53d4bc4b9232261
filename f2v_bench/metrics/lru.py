"""Cache of results per waveform: the references of a test list are analyzed once for all systems."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from f2v_bench.clip import Waveform

T = TypeVar("T")


class LRUCache(Generic[T]):
    """Results keyed by the content of a waveform; the least recently used is dropped first.

    Args:
        limit: largest number of results, at least one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._results: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, waveform: Waveform, compute: Callable[[Waveform], T]) -> T:
        """Return the cached result for ``waveform``, or compute and cache it."""
        key = waveform.sha256
        if key not in self._results:
            self._results[key] = compute(waveform)
            if len(self._results) > self._limit:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        return self._results[key]
