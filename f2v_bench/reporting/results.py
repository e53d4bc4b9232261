"""What a finished run folder says: an estimate for every system and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f2v_bench.errors import F2VError, suggest
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ALPHA, COVERAGE_FLOOR, ClipScores, ColumnRanking, Ranking, rank
from f2v_bench.scoring.records import OK
from f2v_bench.scoring.statistics import CONFIDENCE, Estimate, estimate

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_SYSTEM = "ground-truth"  # shown, never ranked: it is what the others are measured against
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
        """The value as tables print it."""
        text = f"{value * self.scale:.{self.digits}f}"
        return text.removeprefix("-") if float(text) == 0 else text


@dataclass(frozen=True, slots=True)
class Row:
    """One system of a results table."""

    label: str
    provenance: str
    speaker_reference: str

    @property
    def note(self) -> str:
        return f"{self.label}: {self.provenance}; voice from: {self.speaker_reference}."


@dataclass(frozen=True)
class Results:
    """A run, aggregated.

    Attributes:
        manifest: ``run.json``.
        rows, headings: in the order of the run.
        cells: by system label and column name.
        ranking: which of them are best.
        unranked: labels of the systems that are shown, but no rivals.
    """

    manifest: dict[str, Any]
    rows: Sequence[Row]
    headings: Sequence[Heading]
    cells: dict[tuple[str, str], Estimate]
    ranking: Ranking
    unranked: Sequence[str]

    @property
    def title(self) -> str:
        data = self.manifest["dataset"]
        count = f"first {data['clips']} of {data['listed']}" if data["clips"] < data["listed"] else f"{data['clips']}"
        return f"{data['list_id']}: {count} clips, seed {self.manifest['seed']}"

    @property
    def interval_notes(self) -> list[str]:
        units = sorted({cell.units for cell in self.cells.values() if cell.low is not None})
        over = " or ".join(units)
        return (
            [f"{CONFIDENCE:.0%} intervals: BCa bootstrap over {over}; n/m: scored of expected clips."] if units else []
        )

    @property
    def signature_notes(self) -> list[str]:
        signatures = {heading.metric: heading.signature for heading in self.headings}
        return [f"{metric}: {signature}" for metric, signature in signatures.items()]

    @property
    def notes(self) -> list[str]:
        """What a reader must know beside the numbers: provenance, signatures, intervals, what is unavailable."""
        lines = [*self.interval_notes, *ranking_notes(self.ranking, self.unranked)]
        lines += [row.note for row in self.rows] + self.signature_notes
        lines += [f"{gone['name']}: unavailable ({gone['why']}). {gone['do']}" for gone in self.manifest["unavailable"]]
        return lines + list(self.manifest["notes"])


def read_results(folder: RunFolder, *, columns: Sequence[str] = (), all_columns: bool = False) -> Results:
    """Aggregate a finished run.

    Args:
        folder: the run.
        columns: names of the columns, in their order; none means the headline columns.
        all_columns: also those that the metrics do not call headline.

    Raises:
        F2VError: not a run folder, the run did not finish, or a column that it does not have.
    """
    manifest = folder.manifest()
    scores = folder.table("scores")
    clips_table = folder.table("clips")
    speakers = dict(zip(clips_table["id"], clips_table["speaker"].astype(str), strict=True))
    known = [heading_of(metric, column) for metric in manifest["metrics"] for column in metric["columns"]]
    headings = chosen_headings(known, columns, all_columns=all_columns)
    rows = [Row(s["label"], s["provenance"], s["speaker_reference"]) for s in manifest["systems"]]
    expected = int(manifest["dataset"]["clips"])
    found = clip_scores(scores, expected)
    nothing = ClipScores({}, expected)
    cells: dict[tuple[str, str], Estimate] = {}
    for row in rows:
        for heading in headings:
            clips = found.get((row.label, heading.name), nothing).values
            cells[row.label, heading.name] = estimate(
                [value for value, _ in clips.values()],
                [weight for _, weight in clips.values()],
                [speakers[clip] for clip in clips],
                heading.aggregate,
                expected,
            )
    unranked = _unranked(manifest["systems"])
    ranked = [row.label for row in rows if row.label not in unranked]
    contests = [
        ColumnRanking(
            h.name, h.higher_is_better, h.aggregate, {label: found.get((label, h.name), nothing) for label in ranked}
        )
        for h in headings
        if h.higher_is_better is not None
    ]
    return Results(manifest, rows, headings, cells, rank(contests if len(ranked) > 1 else [], speakers), unranked)


def _unranked(systems: Sequence[Mapping[str, Any]]) -> list[str]:
    """The anchors; where that leaves fewer than two systems, the real speech alone."""
    anchors = [one["label"] for one in systems if one.get("anchor") or one["name"] == REFERENCE_SYSTEM]
    if len(systems) - len(anchors) > 1:
        return anchors
    return [one["label"] for one in systems if one["name"] == REFERENCE_SYSTEM]


def chosen_headings(known: Iterable[Heading], columns: Sequence[str], *, all_columns: bool) -> list[Heading]:
    """The columns that were named, or those that metrics call headline, or all.

    Raises:
        F2VError: a name that is not among them.
    """
    by_name = {heading.name: heading for heading in known}
    for name in columns:
        if name not in by_name:
            raise F2VError(f"no run has a column '{name}'", suggest(name, by_name))
    if columns:
        return [by_name[name] for name in dict.fromkeys(columns)]
    return [heading for heading in by_name.values() if all_columns or heading.headline]


def clip_scores(scores: pd.DataFrame, expected: int) -> dict[tuple[str, str], ClipScores]:
    """The clips that have a value, by system label and column name.

    Args:
        scores: ``scores.parquet``.
        expected: clips of the run.
    """
    good = scores[scores["status"] == OK]
    return {
        (str(system), str(column)): ClipScores(
            dict(zip(group["clip"], zip(group["value"], group["weight"], strict=True), strict=True)), expected
        )
        for (system, column), group in good.groupby(["system", "column"], sort=False)
    }


def ranking_notes(ranking: Ranking, unranked: Sequence[str]) -> list[str]:
    """What bold means in this table, and what could not be ranked."""
    lines = []
    if ranking.tests:
        lines.append(
            f"Bold: the best value of a column and those not separable from it; they hold the best system with "
            f"{1 - ALPHA:.0%} confidence, all columns together (one-sided paired permutation tests over "
            f"{' or '.join(sorted(ranking.units))}, corrected for {ranking.tests})."
        )
        if unranked:
            lines.append(f"Not ranked, because they hear real speech: {', '.join(unranked)}.")
    if ranking.unresolved:
        lines.append(
            f"Not ranked, because so few {' or '.join(sorted(ranking.units))} cannot separate anything in a table of "
            f"this size: {', '.join(sorted(ranking.unresolved))}. Compare fewer systems or columns."
        )
    for label in sorted({label for label, _ in ranking.uncovered}):
        columns = ", ".join(sorted(column for of, column in ranking.uncovered if of == label))
        lines.append(
            f"{label} is not ranked where it has values for less than {COVERAGE_FLOOR:.0%} of the clips: {columns}."
        )
    return lines


def heading_of(metric: dict[str, Any], column: dict[str, Any]) -> Heading:
    """A column as ``run.json`` records it."""
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
