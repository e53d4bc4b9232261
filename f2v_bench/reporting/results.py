"""What a finished run folder says: an estimate for every system and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.rows import OK
from f2v_bench.scoring.statistics import CONFIDENCE, Estimate, estimate

ARROWS = {True: "↑", False: "↓", None: ""}


@dataclass(frozen=True, slots=True)
class Heading:
    """One column of a results table, as the run recorded it."""

    name: str
    label: str
    unit: str
    higher_is_better: bool | None
    aggregate: str
    scale: float
    digits: int
    headline: bool
    metric: str
    signature: str
    definition: str

    @property
    def title(self) -> str:
        """Label, unit and direction: ``WER % ↓``."""
        return " ".join(part for part in (self.label, self.unit, ARROWS[self.higher_is_better]) if part)

    def number(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One system of a results table."""

    label: str
    provenance: str
    speaker_reference: str


@dataclass(frozen=True)
class Results:
    """A run, aggregated.

    Attributes:
        manifest: ``run.json``.
        rows, headings: in the order of the run.
        cells: by system label and column name.
    """

    manifest: dict[str, Any]
    rows: Sequence[Row]
    headings: Sequence[Heading]
    cells: dict[tuple[str, str], Estimate]

    @property
    def title(self) -> str:
        data = self.manifest["dataset"]
        count = f"first {data['clips']} of {data['listed']}" if data["clips"] < data["listed"] else f"{data['clips']}"
        return f"{data['list_id']}: {count} clips, seed {self.manifest['seed']}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know beside the numbers: provenance, signatures, intervals, what is unavailable."""
        units = sorted({cell.units for cell in self.cells.values() if cell.low is not None})
        lines = (
            [f"{CONFIDENCE:.0%} intervals: BCa bootstrap over {' or '.join(units)}; n/m: scored of expected clips."]
            if units
            else []
        )
        lines += [f"{row.label}: {row.provenance}; voice from: {row.speaker_reference}." for row in self.rows]
        signatures = {heading.metric: heading.signature for heading in self.headings}
        lines += [f"{metric}: {signature}" for metric, signature in signatures.items()]
        lines += [f"{gone['name']}: unavailable ({gone['why']}). {gone['do']}" for gone in self.manifest["unavailable"]]
        return lines + list(self.manifest["notes"])


def read_results(folder: RunFolder, *, all_columns: bool = False) -> Results:
    """Aggregate a finished run.

    Args:
        folder: the run.
        all_columns: also those that the metrics do not call headline.

    Raises:
        F2VError: not a run folder, or the run did not finish.
    """
    manifest = folder.manifest()
    scores = folder.table("scores")
    speakers = folder.table("clips").set_index("id")["speaker"]
    headings = [
        heading
        for metric in manifest["metrics"]
        for heading in (_heading(metric, column) for column in metric["columns"])
        if heading.headline or all_columns
    ]
    rows = [Row(s["label"], s["provenance"], s["speaker_reference"]) for s in manifest["systems"]]
    good = scores[scores["status"] == OK]
    groups = dict(iter(good.groupby(["system", "column"])))
    cells: dict[tuple[str, str], Estimate] = {}
    for row in rows:
        for heading in headings:
            group = groups.get((row.label, heading.name))
            found = group if group is not None else good.iloc[:0]
            cells[row.label, heading.name] = estimate(
                found["value"].tolist(),
                found["weight"].tolist(),
                [str(speakers[clip]) for clip in found["clip"]],
                heading.aggregate,
                int(manifest["dataset"]["clips"]),
            )
    return Results(manifest, rows, headings, cells)


def _heading(metric: dict[str, Any], column: dict[str, Any]) -> Heading:
    return Heading(
        name=column["name"],
        label=column["label"],
        unit=column["unit"],
        higher_is_better=column["higher_is_better"],
        aggregate=column["aggregate"],
        scale=column["scale"],
        digits=column["digits"],
        headline=column["headline"],
        metric=metric["name"],
        signature=metric["signature"],
        definition=column["definition"],
    )
