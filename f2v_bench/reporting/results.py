"""Results of a finished run: an estimate for every system and column."""

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

GROUND_TRUTH = "ground-truth"  # never ranked: the other systems are measured against it
ARROWS = {True: "↑", False: "↓", None: ""}


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column of a results table, as recorded by the run.

    Attributes:
        name: unique name.
        label: heading in tables.
        unit: unit as printed, or empty.
        higher_is_better: direction, or None where neither end is better.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        scale: factor from stored to printed values.
        digits: printed decimals.
        headline: True for a column of the default table.
        metric: name of the metric.
        signature: signature of the metric.
        definition: one sentence.
    """

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

    @property
    def stored_unit(self) -> str:
        """Unit of stored values: per cent is stored as a ratio."""
        return "ratio" if self.unit == "%" else self.unit

    def format(self, value: float) -> str:
        """Return a stored value as tables print it."""
        text = f"{value * self.scale:.{self.digits}f}"
        return text.removeprefix("-") if float(text) == 0 else text


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """One system of a results table.

    Attributes:
        label: label of the system in the run.
        provenance: weights and training data, or origin of the audio.
        speaker_reference: source of the speaker embedding.
    """

    label: str
    provenance: str
    speaker_reference: str

    @property
    def note(self) -> str:
        """Provenance in one line."""
        return f"{self.label}: {self.provenance}; speaker embedding source: {self.speaker_reference}."


@dataclass(frozen=True)
class Results:
    """Aggregated results of a run.

    Attributes:
        manifest: content of ``run.json``.
        systems: systems in the order of the run.
        columns: selected columns in the order of the run.
        cells: estimates by system label and column name.
        ranking: best systems of every column.
        reference_rows: labels of the systems that are shown, but not ranked.
    """

    manifest: dict[str, Any]
    systems: Sequence[SystemInfo]
    columns: Sequence[ColumnInfo]
    cells: dict[tuple[str, str], Estimate]
    ranking: Ranking
    reference_rows: Sequence[str]

    @property
    def title(self) -> str:
        """List, number of clips and seed."""
        data = self.manifest["dataset"]
        is_part = data["clips"] < data["list_size"]
        count = f"first {data['clips']} of {data['list_size']}" if is_part else f"{data['clips']}"
        return f"{data['list_id']}: {count} clips, seed {self.manifest['seed']}"

    @property
    def interval_notes(self) -> list[str]:
        """Method of the intervals and meaning of n/m."""
        units = sorted({cell.units for cell in self.cells.values() if cell.low is not None})
        over = " or ".join(units)
        return (
            [f"{CONFIDENCE:.0%} intervals: BCa bootstrap over {over}; n/m: scored of expected clips."] if units else []
        )

    @property
    def signature_notes(self) -> list[str]:
        """Signature of every metric."""
        signatures = {column.metric: column.signature for column in self.columns}
        return [f"{metric}: {signature}" for metric, signature in signatures.items()]

    @property
    def notes(self) -> list[str]:
        """Notes below the table: intervals, ranking, provenance, signatures, unavailable metrics."""
        lines = [*self.interval_notes, *ranking_notes(self.ranking, self.reference_rows)]
        lines += [system.note for system in self.systems] + self.signature_notes
        lines += [f"{one['name']}: unavailable ({one['why']}). {one['do']}" for one in self.manifest["unavailable"]]
        return lines + list(self.manifest["notes"])

    def is_best(self, label: str, column: str) -> bool:
        """Return True where a system has the best value of a column, or one that no test separates from it."""
        return (label, column) in self.ranking.leaders

    def to_frame(self) -> pd.DataFrame:
        """Return one row per system and column, unrounded and in stored units: ratios are not in per cent."""
        import pandas as pd

        rows = []
        for system in self.systems:
            for column in self.columns:
                cell = self.cells[system.label, column.name]
                rows.append(
                    {
                        "list": self.manifest["dataset"]["list_id"],
                        "system": system.label,
                        "column": column.name,
                        "value": cell.value,
                        "low": cell.low,
                        "high": cell.high,
                        "confidence": CONFIDENCE,
                        "scored": cell.scored,
                        "expected": cell.expected,
                        "resampled": cell.units,
                        "is_best": self.is_best(system.label, column.name),
                        "aggregate": column.aggregate,
                        "unit": column.stored_unit,
                        "higher_is_better": column.higher_is_better,
                        "speaker_reference": system.speaker_reference,
                        "signature": column.signature,
                        "provenance": system.provenance,
                    }
                )
        return pd.DataFrame(rows)


def read_results(folder: RunFolder, *, columns: Sequence[str] = (), all_columns: bool = False) -> Results:
    """Aggregate the scores of a finished run.

    Args:
        folder: run folder.
        columns: names of the columns, in their order; none selects the headline columns.
        all_columns: True to select every column.

    Raises:
        F2VError: not a run folder, an unfinished run, or an unknown column.
    """
    manifest = folder.manifest()
    clips_table = folder.table("clips")
    speakers = dict(zip(clips_table["id"], clips_table["speaker"].astype(str), strict=True))
    known = [column_info(metric, column) for metric in manifest["metrics"] for column in metric["columns"]]
    selected = select_columns(known, columns, all_columns=all_columns)
    systems = [SystemInfo(s["label"], s["provenance"], s["speaker_reference"]) for s in manifest["systems"]]
    expected = int(manifest["dataset"]["clips"])
    scores = group_scores(folder.table("scores"), expected)
    empty = ClipScores({}, expected)
    cells: dict[tuple[str, str], Estimate] = {}
    for system in systems:
        for column in selected:
            clips = scores.get((system.label, column.name), empty).values
            cells[system.label, column.name] = estimate(
                [value for value, _ in clips.values()],
                [weight for _, weight in clips.values()],
                [speakers[clip] for clip in clips],
                column.aggregate,
                expected,
            )
    reference_rows = _reference_rows(manifest["systems"])
    ranked = [system.label for system in systems if system.label not in reference_rows]
    rankings = [
        ColumnRanking(
            column.name,
            column.higher_is_better,
            column.aggregate,
            {label: scores.get((label, column.name), empty) for label in ranked},
        )
        for column in selected
        if column.higher_is_better is not None
    ]
    ranking = rank(rankings if len(ranked) > 1 else [], speakers)
    return Results(manifest, systems, selected, cells, ranking, reference_rows)


def _reference_rows(systems: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the labels of reference systems; where fewer than two others remain, of the ground truth alone."""
    labels = [one["label"] for one in systems if one.get("reference") or one["name"] == GROUND_TRUTH]
    if len(systems) - len(labels) > 1:
        return labels
    return [one["label"] for one in systems if one["name"] == GROUND_TRUTH]


def select_columns(known: Iterable[ColumnInfo], names: Sequence[str], *, all_columns: bool) -> list[ColumnInfo]:
    """Return the named columns; without names the headline columns, or all.

    Raises:
        F2VError: an unknown name.
    """
    by_name = {column.name: column for column in known}
    for name in names:
        if name not in by_name:
            raise F2VError(f"no run has a column '{name}'", suggest(name, by_name))
    if names:
        return [by_name[name] for name in dict.fromkeys(names)]
    return [column for column in by_name.values() if all_columns or column.headline]


def group_scores(scores: pd.DataFrame, expected: int) -> dict[tuple[str, str], ClipScores]:
    """Group the clips that have a value by system label and column name.

    Args:
        scores: content of ``scores.parquet``.
        expected: number of clips of the run.
    """
    valid = scores[scores["status"] == OK]
    return {
        (str(system), str(column)): ClipScores(
            dict(zip(group["clip"], zip(group["value"], group["weight"], strict=True), strict=True)), expected
        )
        for (system, column), group in valid.groupby(["system", "column"], sort=False)
    }


def ranking_notes(ranking: Ranking, reference_rows: Sequence[str]) -> list[str]:
    """Return notes on the meaning of bold values and on what is not ranked."""
    units = " or ".join(sorted(ranking.units))
    lines = []
    if ranking.tests:
        lines.append(
            f"Bold: the best value of a column and those not separable from it. They contain the best system with "
            f"{1 - ALPHA:.0%} confidence, all columns together (one-sided paired permutation tests over "
            f"{units}, corrected for {ranking.tests})."
        )
        if reference_rows:
            lines.append(f"Reference rows, not ranked because they play real speech: {', '.join(reference_rows)}.")
    if ranking.unresolved:
        lines.append(
            f"Not ranked, because so few {units} cannot separate anything in a table of this size: "
            f"{', '.join(sorted(ranking.unresolved))}. Compare fewer systems or columns."
        )
    for label in sorted({label for label, _ in ranking.uncovered}):
        columns = ", ".join(sorted(column for of, column in ranking.uncovered if of == label))
        lines.append(
            f"{label} is not ranked where it has values for less than {COVERAGE_FLOOR:.0%} of the clips: {columns}."
        )
    return lines


def column_info(metric: Mapping[str, Any], column: Mapping[str, Any]) -> ColumnInfo:
    """Return a column from its entry in ``run.json``."""
    return ColumnInfo(
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
