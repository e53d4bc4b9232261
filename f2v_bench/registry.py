"""Systems, datasets, metrics and models, found by name through entry points: this project's and any other package's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from f2v_bench.errors import F2VError, suggest


class Registry:
    """Names of one kind of plugin; each is imported only when it is loaded.

    Args:
        kind: word for messages: ``system``, ``dataset`` or ``metric``.
        group: entry-point group, for example ``f2v_bench.metrics``.
        earlier: group of the same kind in earlier versions, still read.
        derived: another registry whose entries are offered too, and the function that makes one of this kind of an
            entry and its name.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        earlier: str | None = None,
        derived: tuple[Registry, Callable[[Any, str], Any]] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._groups = (group, *((earlier,) if earlier else ()))
        self._derived = derived
        self._points: dict[str, EntryPoint] | None = None

    def _found(self) -> dict[str, EntryPoint]:
        if self._points is None:
            points: dict[str, EntryPoint] = {}
            for point in (point for group in self._groups for point in entry_points(group=group)):
                first = points.setdefault(point.name, point)
                if first.value != point.value:
                    raise F2VError(
                        f"two packages offer the {self.kind} '{point.name}': {first.value} and {point.value}",
                        "uninstall one of them, or ask its author for another name",
                    )
            self._points = points
        return self._points

    def names(self) -> list[str]:
        """Return every name, sorted, without an import."""
        others = self._derived[0].names() if self._derived else []
        return sorted({*self._found(), *others})

    def load(self, name: str) -> Any:
        """Import and return the entry of a name.

        Raises:
            F2VError: an unknown name (with the nearest known one), or a plugin that cannot be imported.
        """
        point = self._found().get(name)
        if point is not None:
            return self._import(point)
        if self._derived and name in self._derived[0].names():
            registry, derive = self._derived
            return derive(registry.load(name), name)
        raise F2VError(f"there is no {self.kind} called '{name}'", suggest(name, self.names()))

    def _import(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except ImportError as error:
            raise F2VError(
                f"the {self.kind} '{point.name}' cannot be loaded: {error}", "f2v-bench doctor shows what is missing"
            ) from error


DATASETS = Registry("dataset", "f2v_bench.datasets")
METRICS = Registry("metric", "f2v_bench.metrics")
#: declarations of trained models, ``ModelSpec``; each is a system and a training too
MODELS = Registry("model", "f2v_bench.models")
SYSTEMS = Registry("system", "f2v_bench.systems", derived=(MODELS, lambda spec, name: spec.system_class(name)))
EXPERIMENTS = Registry(
    "model",
    "f2v_bench.experiments",
    earlier="f2v_bench.trainees",
    derived=(MODELS, lambda spec, _name: spec.experiment_class()),
)
