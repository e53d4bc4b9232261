"""Systems, datasets and metrics are found by name through entry points, ours and a stranger's alike."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from f2v_bench.errors import F2VError, suggest


class Registry:
    """Names of one kind of plugin, each loaded only when asked for.

    Args:
        kind: what a person calls the thing, ``system``, ``dataset`` or ``metric``.
        group: the entry-point group, for example ``f2v_bench.metrics``.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._points: dict[str, EntryPoint] | None = None

    def _found(self) -> dict[str, EntryPoint]:
        if self._points is None:
            points: dict[str, EntryPoint] = {}
            for point in entry_points(group=self.group):
                seen = points.setdefault(point.name, point)
                if seen.value != point.value:
                    raise F2VError(
                        f"two packages offer the {self.kind} '{point.name}': {seen.value} and {point.value}",
                        "uninstall one of them, or ask its author for another name",
                    )
            self._points = points
        return self._points

    def names(self) -> list[str]:
        """Every name on offer, sorted. Nothing is imported."""
        return sorted(self._found())

    def load(self, name: str) -> Any:
        """Import and return what ``name`` stands for.

        Raises:
            F2VError: an unknown name (with the nearest known one), or a plugin that cannot be imported.
        """
        point = self._found().get(name)
        if point is None:
            raise F2VError(f"there is no {self.kind} called '{name}'", suggest(name, self._found()))
        try:
            return point.load()
        except ImportError as error:
            raise F2VError(
                f"the {self.kind} '{name}' cannot be loaded: {error}", "f2v-bench doctor says what is missing"
            ) from error


SYSTEMS = Registry("system", "f2v_bench.systems")
DATASETS = Registry("dataset", "f2v_bench.datasets")
METRICS = Registry("metric", "f2v_bench.metrics")
EXPERIMENTS = Registry("model", "f2v_bench.experiments")
