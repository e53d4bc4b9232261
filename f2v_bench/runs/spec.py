"""What is to be run, what came of it, and the manifest that says so."""

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


class Watcher(Protocol):
    """Who is told how far the run is."""

    def stage(self, name: str, total: int, done: int) -> None:
        """A stage of ``total`` clips begins, ``done`` of which an earlier start finished."""

    def advance(self, name: str, clips: int) -> None:
        """So many more clips of the stage are done."""


@dataclass(frozen=True)
class RunPlan:
    """What is to be run.

    Attributes:
        dataset: the opened corpus.
        clips: the clips to run, after ``--limit``.
        listed: how many the list has.
        systems: label and system, in the order of the table's rows.
        metrics: in the order of the table's columns.
        unavailable: metrics that were asked for and cannot be computed here.
        seed: every random choice of every system depends on it and on the clip alone.
        device: where systems and metrics compute.
        command: the command line, for the record.
        find_face: looks for the talking face and returns the share of frames it was seen in; None skips the stage.
        workers: processes that score.
        cached: whether scores of unchanged audio are taken from, and kept in, the machine's cache.
        notes: what a reader of the table must know.
    """

    dataset: Dataset
    clips: Sequence[Clip]
    listed: int
    systems: Sequence[tuple[str, System]]
    metrics: Sequence[Metric]
    unavailable: Sequence[MetricUnavailable]
    seed: int
    device: str
    command: Sequence[str]
    find_face: Callable[[Clip], float] | None = None
    workers: int = 1
    cached: bool = True
    notes: Sequence[str] = ()


@dataclass
class RunSummary:
    """What came of it.

    Attributes:
        failures: failure kind to the ``system/clip`` or clip ids it befell, with one detail each.
        synthesized, scored: what this start computed (not what it found done).
    """

    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    synthesized: int = 0
    scored: int = 0

    def note(self, kind: str, where: str, detail: str) -> None:
        self.failures.setdefault(kind, {}).setdefault(where, detail)


def manifest_of(plan: RunPlan) -> dict[str, Any]:
    """``run.json`` of a plan."""
    dataset = plan.dataset
    return {
        "command": list(plan.command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "list_id": dataset.list_id,
            "clips": len(plan.clips),
            "listed": plan.listed,
            "sha256": list_sha256(clip.id for clip in plan.clips),
            "licence": dataset.license,
        },
        "seed": plan.seed,
        "systems": [
            {
                "label": label,
                "name": system.name,
                "argument": system.options.argument,
                "speaker_reference": system.speaker_reference.value,
                "anchor": system.anchor,
                "sample_rate": system.sample_rate,
                "summary": system.summary,
                "provenance": system.provenance,
            }
            for label, system in plan.systems
        ],
        "metrics": [
            {
                "name": metric.name,
                "signature": metric.signature,
                "deterministic": metric.deterministic,
                "needs": sorted(metric.needs),
                "columns": [asdict(column) for column in metric.columns],
            }
            for metric in plan.metrics
        ],
        "unavailable": [{"name": gone.name, "why": gone.why, "do": gone.do} for gone in plan.unavailable],
        "notes": list(plan.notes),
        "versions": versions(),
        "hardware": hardware(plan.device),
    }
