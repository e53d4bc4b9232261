"""What was computed of the waveforms seen last: a test list's references are analysed once, for all systems."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from f2v_bench.clip import Waveform

T = TypeVar("T")


class LRUCache(Generic[T]):
    """Results by content of the waveform; the least recently used leave first.

    Args:
        limit: results held, at least one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, waveform: Waveform, compute: Callable[[Waveform], T]) -> T:
        """The result for ``waveform``, from memory or from ``compute``."""
        key = waveform.sha256
        if key not in self._held:
            self._held[key] = compute(waveform)
            if len(self._held) > self._limit:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]
