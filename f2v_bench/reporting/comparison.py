"""Pairwise comparison of the systems of one or several run folders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError
from f2v_bench.reporting.entries import Entry, align_lists, read_entries, select_entries
from f2v_bench.reporting.results import ColumnInfo, select_columns
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ALPHA, COVERAGE_FLOOR, Difference, difference, holm, permutations_for
from f2v_bench.scoring.statistics import CONFIDENCE, RESAMPLES

if TYPE_CHECKING:
    import pandas as pd

NOT_COMPARABLE = "not comparable"
NOT_SEPARABLE = "not separable"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Comparison of one system with another in one column.

    Attributes:
        column: compared column.
        system: label of the system.
        baseline: label of the other system, which is subtracted.
        difference: ``system - baseline``, or None where the two are not comparable.
        p_holm: p-value of the difference, corrected over the whole comparison.
        verdict: ``better`` or ``worse`` than the baseline (``higher`` or ``lower`` where neither end is better),
            ``not separable`` or ``not comparable``.
        why: reason of ``not comparable``.
    """

    column: ColumnInfo
    system: str
    baseline: str
    difference: Difference | None
    p_holm: float | None
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """Comparison of all requested pairs, column by column.

    Attributes:
        title: list of clips.
        rows: results in the order of columns, then pairs.
        entries: compared systems.
        coverage_floor: share of clips below which nothing is compared, 0 to 1.
    """

    title: str
    rows: Sequence[ComparisonRow]
    entries: Sequence[Entry]
    coverage_floor: float

    @property
    def notes(self) -> list[str]:
        """Methods, provenance and signatures."""
        tested = [row.difference for row in self.rows if row.difference]
        units = sorted({found.units for found in tested})
        notes = (
            [
                f"Differences are system minus baseline on the clips that both have; {CONFIDENCE:.0%} intervals: "
                f"paired BCa bootstrap over {' or '.join(units)} ({RESAMPLES} resamples); p: paired permutation test "
                f"(exact, or {permutations_for(len(self.rows))} draws); Holm over {len(tested)} tests, "
                f"verdicts at {ALPHA:.0%}; coverage floor {self.coverage_floor:.0%}."
            ]
            if tested
            else []
        )
        notes += [f"{e.label}: {e.provenance}; speaker embedding source: {e.speaker_reference}." for e in self.entries]
        signatures = {
            (row.column.metric, entry.columns[row.column.name].signature): None
            for row in self.rows
            for entry in self.entries
            if row.column.name in entry.columns
        }
        return notes + [f"{metric}: {signature}" for metric, signature in signatures]

    def table(self) -> pd.DataFrame:
        """Return one row per column and pair, unrounded and in stored units: ratios are not in per cent."""
        import pandas as pd

        rows = []
        for row in self.rows:
            found = row.difference
            rows.append(
                {
                    "list": self.title,
                    "column": row.column.name,
                    "unit": row.column.stored_unit,
                    "system": row.system,
                    "baseline": row.baseline,
                    "value": found.ours if found else None,
                    "baseline_value": found.theirs if found else None,
                    "difference": found.value if found else None,
                    "low": found.low if found else None,
                    "high": found.high if found else None,
                    "p": found.p if found else None,
                    "p_holm": row.p_holm,
                    "clips": found.clips if found else 0,
                    "units": found.count if found else 0,
                    "resampled": found.units if found else "",
                    "verdict": row.verdict,
                    "why": row.why,
                    "signature": row.column.signature if found else "",
                }
            )
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        columns = ["column", "system", "baseline", "value", "baseline_value", "difference", "low", "high", "p_holm"]
        return self.table()[[*columns, "verdict"]].to_html(index=False, float_format="{:.4g}".format)


def compare_runs(
    folders: Sequence[RunFolder],
    *,
    baseline: str | None = None,
    systems: Sequence[str] = (),
    columns: Sequence[str] = (),
    all_columns: bool = False,
    intersection: bool = False,
    coverage_floor: float = COVERAGE_FLOOR,
) -> Comparison:
    """Compare the systems of finished runs in pairs.

    Args:
        folders: run folders.
        baseline: label of the system that all others are compared with; None compares every pair.
        systems: labels (``label`` or ``run/label``); none selects all, without the ground truth where two others
            remain.
        columns: names of columns; none selects the headline columns.
        all_columns: True to select every column.
        intersection: True to compare runs of different lists on the clips that they have in common.
        coverage_floor: share of the clips that a system must have a value for, 0 to 1.

    Raises:
        F2VError: unknown names, fewer than two systems, or runs of different lists without ``intersection``.
    """
    if not 0 <= coverage_floor <= 1:
        raise F2VError(f"the coverage floor must lie between 0 and 1, got {coverage_floor:g}", "0.99 is 99 % of clips")
    entries, title = align_lists(read_entries(folders), intersection=intersection)
    selected, base = select_entries(entries, systems, baseline)
    infos = _select_columns(selected, columns, all_columns=all_columns)
    pairs = (
        [(entry, base) for entry in selected if entry is not base]
        if base
        else [(later, earlier) for earlier, later in itertools.combinations(selected, 2)]
    )
    draws = permutations_for(len(infos) * len(pairs))
    rows = [_compare_pair(column, entry, other, coverage_floor, draws) for column in infos for entry, other in pairs]
    return Comparison(title, _add_verdicts(rows), selected, coverage_floor)


def _select_columns(entries: Sequence[Entry], names: Sequence[str], *, all_columns: bool) -> list[ColumnInfo]:
    known: dict[str, ColumnInfo] = {}
    for entry in entries:
        for name, column in entry.columns.items():
            known.setdefault(name, column)
    return select_columns(known.values(), names, all_columns=all_columns)


def _compare_pair(column: ColumnInfo, entry: Entry, other: Entry, floor: float, draws: int) -> ComparisonRow:
    why = _why_not_comparable(column.name, entry, other, floor)
    found = None
    if not why:
        scores, other_scores = entry.scores[column.name], other.scores[column.name]
        found = difference(scores, other_scores, entry.speakers, column.aggregate, draws)
        why = "" if found else "no clip has a value in both"
    return ComparisonRow(column, entry.label, other.label, found, None, NOT_COMPARABLE if why else "", why)


def _why_not_comparable(column: str, entry: Entry, other: Entry, floor: float) -> str:
    """Return the reason why two systems cannot be compared in a column, or an empty text."""
    for one in (entry, other):
        if column not in one.columns:
            return f"the run of {one.label} does not have this column"
    signatures = [one.columns[column].signature for one in (entry, other)]
    if signatures[0] != signatures[1]:
        return f"different signatures: {_signature_diff(*signatures)}"
    for one in (entry, other):
        scores = one.scores[column]
        if scores.coverage < floor:
            return f"{one.label} has {len(scores.values)} of {scores.expected} clips, below {floor:.0%}"
    references, other_references = entry.compared_with[column], other.compared_with[column]
    changed = [
        clip
        for clip in entry.scores[column].values
        if clip in other_references and references[clip] != other_references[clip]
    ]
    if changed:
        return f"{len(changed)} clips were scored against another reference or transcript, first '{min(changed)}'"
    return ""


def _signature_diff(signature: str, other: str) -> str:
    """Return the parts that two signatures do not share."""
    parts, other_parts = signature.split("|"), other.split("|")
    return " / ".join(
        "|".join(part for part in left if part not in right) or "nothing more"
        for left, right in ((parts, other_parts), (other_parts, parts))
    )


def _add_verdicts(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    adjusted = iter(holm([row.difference.p for row in rows if row.difference]))
    with_verdicts = []
    for row in rows:
        if row.difference:
            p = next(adjusted)
            row = replace(row, p_holm=p, verdict=_verdict(row.difference.value, p, row.column))
        with_verdicts.append(row)
    return with_verdicts


def _verdict(value: float, p: float, column: ColumnInfo) -> str:
    if p >= ALPHA:
        return NOT_SEPARABLE
    if column.higher_is_better is None:
        return "higher" if value > 0 else "lower"
    return "better" if (value > 0) == column.higher_is_better else "worse"
