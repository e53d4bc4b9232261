"""What ``compare`` says: differences between the systems of one or several run folders, and which of them are real."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from f2v_bench.errors import F2VError
from f2v_bench.reporting.entries import Entry, choose, on_one_list, read_contenders
from f2v_bench.reporting.results import Heading, chosen_headings
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ALPHA, COVERAGE_FLOOR, Difference, difference, holm, permutations_for
from f2v_bench.scoring.statistics import CONFIDENCE, RESAMPLES

NOT_COMPARABLE = "not comparable"
NOT_SEPARABLE = "not separable"


@dataclass(frozen=True, slots=True)
class Line:
    """One system against another under one column.

    Attributes:
        heading: the column.
        system, baseline: labels.
        difference: ``system - baseline``, or None where the two are not comparable.
        p_holm: its p-value, corrected over the whole comparison.
        verdict: ``better`` or ``worse`` than the baseline (``higher`` or ``lower`` where neither end is better),
            ``not separable`` or ``not comparable``.
        why: the reason of ``not comparable``.
    """

    heading: Heading
    system: str
    baseline: str
    difference: Difference | None
    p_holm: float | None
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """Every pair that was asked for, column by column.

    Attributes:
        title: list, clips and what is compared.
        lines: in the order of columns, then pairs.
        contenders: the systems that take part.
        coverage_floor: share of clips below which nothing is compared.
    """

    title: str
    lines: Sequence[Line]
    contenders: Sequence[Entry]
    coverage_floor: float

    @property
    def notes(self) -> list[str]:
        """How the numbers were made, and under which signatures."""
        tested = [line.difference for line in self.lines if line.difference]
        units = sorted({found.units for found in tested})
        notes = (
            [
                f"Differences are system minus baseline on the clips that both have; {CONFIDENCE:.0%} intervals: "
                f"paired BCa bootstrap over {' or '.join(units)} ({RESAMPLES} resamples); p: paired permutation test "
                f"(exact, or {permutations_for(len(self.lines))} draws); Holm over {len(tested)} tests, "
                f"verdicts at {ALPHA:.0%}; coverage floor {self.coverage_floor:.0%}."
            ]
            if tested
            else []
        )
        notes += [f"{c.label}: {c.provenance}; voice from: {c.speaker_reference}." for c in self.contenders]
        signatures = {
            (line.heading.metric, contender.headings[line.heading.name].signature): None
            for line in self.lines
            for contender in self.contenders
            if line.heading.name in contender.headings
        }
        return notes + [f"{metric}: {signature}" for metric, signature in signatures]


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
        folders: the runs.
        baseline: the system that all others are compared with; every pair is compared where it is None.
        systems: labels (``label`` or ``run/label``); none means all, without the real speech where two others remain.
        columns: names of columns; none means the headline columns.
        all_columns: every column.
        intersection: compare runs of different lists, on the clips that all of them list.
        coverage_floor: share of the clips that a system must have a value for, 0 to 1.

    Raises:
        F2VError: unknown names, fewer than two systems, or runs of different lists without ``intersection``.
    """
    if not 0 <= coverage_floor <= 1:
        raise F2VError(f"the coverage floor must lie between 0 and 1, got {coverage_floor:g}", "0.99 is 99 % of clips")
    contenders, title = on_one_list(read_contenders(folders), intersection=intersection)
    chosen, reference = choose(contenders, systems, baseline)
    headings = _headings(chosen, columns, all_columns=all_columns)
    pairs = (
        [(one, reference) for one in chosen if one is not reference]
        if reference
        else [(later, earlier) for earlier, later in itertools.combinations(chosen, 2)]
    )
    draws = permutations_for(len(headings) * len(pairs))
    lines = [_line(heading, one, other, coverage_floor, draws) for heading in headings for one, other in pairs]
    return Comparison(title, _with_verdicts(lines), chosen, coverage_floor)


def _headings(contenders: Sequence[Entry], columns: Sequence[str], *, all_columns: bool) -> list[Heading]:
    known: dict[str, Heading] = {}
    for contender in contenders:
        for name, heading in contender.headings.items():
            known.setdefault(name, heading)
    return chosen_headings(known.values(), columns, all_columns=all_columns)


def _line(heading: Heading, one: Entry, other: Entry, floor: float, draws: int) -> Line:
    why = _obstacle(heading.name, one, other, floor)
    found = None
    if not why:
        ours, theirs = one.scores[heading.name], other.scores[heading.name]
        found = difference(ours, theirs, one.speakers, heading.aggregate, draws)
        why = "" if found else "no clip has a value in both"
    verdict = NOT_COMPARABLE if why else ""
    return Line(heading, one.label, other.label, found, None, verdict, why)


def _obstacle(column: str, one: Entry, other: Entry, floor: float) -> str:
    """Why two systems cannot be compared under a column, or an empty text."""
    for contender in (one, other):
        if column not in contender.headings:
            return f"the run of {contender.label} does not have this column"
    signatures = [contender.headings[column].signature for contender in (one, other)]
    if signatures[0] != signatures[1]:
        return f"different signatures: {_parting(*signatures)}"
    for contender in (one, other):
        scores = contender.scores[column]
        if scores.coverage < floor:
            return f"{contender.label} has {len(scores.values)} of {scores.expected} clips, below {floor:.0%}"
    mine, theirs = one.compared_with[column], other.compared_with[column]
    changed = [clip for clip in one.scores[column].values if clip in theirs and mine[clip] != theirs[clip]]
    if changed:
        return f"{len(changed)} clips were scored against another reference or transcript, first '{min(changed)}'"
    return ""


def _parting(one: str, other: str) -> str:
    """What two signatures do not share."""
    ours, theirs = one.split("|"), other.split("|")
    return " / ".join(
        "|".join(part for part in mine if part not in others) or "nothing more"
        for mine, others in ((ours, theirs), (theirs, ours))
    )


def _with_verdicts(lines: Sequence[Line]) -> list[Line]:
    adjusted = iter(holm([line.difference.p for line in lines if line.difference]))
    judged = []
    for line in lines:
        if line.difference:
            p = next(adjusted)
            line = replace(line, p_holm=p, verdict=_verdict(line.difference.value, p, line.heading))
        judged.append(line)
    return judged


def _verdict(value: float, p: float, heading: Heading) -> str:
    if p >= ALPHA:
        return NOT_SEPARABLE
    if heading.higher_is_better is None:
        return "higher" if value > 0 else "lower"
    return "better" if (value > 0) == heading.higher_is_better else "worse"
