"""Specification of a run, its progress callback, its summary, and the manifest that records it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import Dataset, list_sha256
from f2v_bench.metrics.base import Metric, MetricUnavailable
from f2v_bench.systems.base import System
from f2v_bench.utils.environment import hardware, versions


class ProgressCallback(Protocol):
    """Callback that a run reports its progress to."""

    def start_stage(self, name: str, total: int, done: int) -> None:
        """Start a stage of ``total`` clips, ``done`` of which were finished by an earlier start."""

    def advance(self, name: str, clips: int) -> None:
        """Add ``clips`` finished clips to a stage."""


class NoProgress:
    """Progress callback that does nothing."""

    def start_stage(self, name: str, total: int, done: int) -> None:
        """Ignore the stage."""

    def advance(self, name: str, clips: int) -> None:
        """Ignore the clips."""


@dataclass(frozen=True)
class RunSpec:
    """Specification of a run.

    Attributes:
        dataset: opened corpus.
        clips: clips to run, after ``--limit``.
        list_size: number of clips on the whole list.
        systems: label and system, in the order of the table's rows.
        metrics: metrics in the order of the table's columns.
        unavailable: metrics that cannot be computed on this machine.
        seed: seed of every random choice, together with the clip id.
        device: device of systems and metrics: ``cpu``, ``cuda`` or ``cuda:N``.
        command: command line or Python call, for the record.
        find_face: function that detects the talking face and returns the share of frames in which it is visible;
            None skips the stage.
        workers: number of scoring processes.
        use_cache: True to share scores of unchanged audio between runs through the machine's cache.
        notes: remarks printed below the table.
    """

    dataset: Dataset
    clips: Sequence[Clip]
    list_size: int
    systems: Sequence[tuple[str, System]]
    metrics: Sequence[Metric]
    unavailable: Sequence[MetricUnavailable]
    seed: int
    device: str
    command: Sequence[str]
    find_face: Callable[[Clip], float] | None = None
    workers: int = 1
    use_cache: bool = True
    notes: Sequence[str] = ()


@dataclass
class RunSummary:
    """Counts and failures of one start of a run.

    Attributes:
        failures: failure kind to ``system/clip`` or clip id to one line of detail.
        synthesized: clips synthesized by this start.
        scored: clips scored by this start, over all metrics.
    """

    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    synthesized: int = 0
    scored: int = 0


def build_manifest(spec: RunSpec) -> dict[str, Any]:
    """Return the content of ``run.json``."""
    dataset = spec.dataset
    return {
        "command": list(spec.command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "list_id": dataset.list_id,
            "clips": len(spec.clips),
            "list_size": spec.list_size,
            "sha256": list_sha256(clip.id for clip in spec.clips),
            "license": dataset.license,
        },
        "seed": spec.seed,
        "systems": [
            {
                "label": label,
                "name": system.name,
                "argument": system.options.argument,
                "speaker_reference": system.speaker_reference.value,
                "reference": system.is_reference,
                "sample_rate": system.sample_rate,
                "summary": system.summary,
                "provenance": system.provenance,
            }
            for label, system in spec.systems
        ],
        "metrics": [
            {
                "name": metric.name,
                "signature": metric.signature,
                "deterministic": metric.deterministic,
                "needs": sorted(metric.needs),
                "columns": [asdict(column) for column in metric.columns],
            }
            for metric in spec.metrics
        ],
        "unavailable": [{"name": one.name, "why": one.why, "do": one.do} for one in spec.unavailable],
        "notes": list(spec.notes),
        "versions": versions(),
        "hardware": hardware(spec.device),
    }
