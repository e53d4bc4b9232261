from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.reporting.comparison import Comparison, ComparisonRow, compare_runs
from f2v_bench.reporting.comparison_table import (
    csv_text,
    latex,
    markdown,
    p_text,
    terminal_comparison,
    verdict_text,
    write_comparison,
)
from f2v_bench.reporting.results import read_results
from f2v_bench.reporting.table import latex as results_latex
from f2v_bench.reporting.table import markdown as results_markdown
from f2v_bench.reporting.table import terminal_table
from f2v_bench.runs.folder import RunFolder
from tests.reporting.made_runs import MOS, SHARE, WER, clip_ids, make_run

CLIPS = clip_ids(30)
Scores = dict[str, dict[str, float]]


def around(wer: float, mos: float, seed: int = 0, clips: list[str] = CLIPS) -> Scores:
    rng = np.random.default_rng(seed)
    draw = {
        "wer": np.clip(wer + 0.05 * rng.standard_normal(len(clips)), 0, None),
        "mos": mos + 0.2 * rng.standard_normal(len(clips)),
        "share": 0.5 + 0.1 * rng.standard_normal(len(clips)),
    }
    return {name: dict(zip(clips, values.tolist(), strict=True)) for name, values in draw.items()}


SYSTEMS = {
    "ground-truth": around(0.01, 4.5, 1),
    "good": around(0.20, 3.5, 2),
    "alike": around(0.20, 3.5, 3),
    "bad": around(0.60, 2.0, 4),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("runs") / "one", SYSTEMS, CLIPS)


@pytest.fixture(scope="module")
def comparison(run: RunFolder) -> Comparison:
    return compare_runs([run])


def row_of(comparison: Comparison, column: str, system: str, baseline: str) -> ComparisonRow:
    found = [
        one for one in comparison.rows if (one.column.name, one.system, one.baseline) == (column, system, baseline)
    ]
    assert len(found) == 1
    return found[0]


def test_every_pair_without_the_real_speech(comparison: Comparison) -> None:
    pairs = [(one.system, one.baseline) for one in comparison.rows if one.column.name == "wer"]
    assert pairs == [("alike", "good"), ("bad", "good"), ("bad", "alike")]
    assert len(comparison.rows) == 6
    assert comparison.title.startswith("toys/test (30 clips, list ")


def test_verdicts_follow_the_direction(comparison: Comparison) -> None:
    assert row_of(comparison, "wer", "bad", "good").verdict == "worse"
    assert row_of(comparison, "mos", "bad", "good").verdict == "worse"
    assert row_of(comparison, "wer", "alike", "good").verdict == "not separable"
    worse = row_of(comparison, "wer", "bad", "good")
    assert worse.difference is not None
    assert worse.difference.value == pytest.approx(0.4, abs=0.05)
    assert worse.p_holm == pytest.approx(6 * worse.difference.p)


def test_all_others_are_compared_with_a_baseline(run: RunFolder) -> None:
    found = compare_runs([run], baseline="bad", columns=["wer"])
    assert [(one.system, one.baseline, one.verdict) for one in found.rows] == [
        ("good", "bad", "better"),
        ("alike", "bad", "better"),
    ]
    real = compare_runs([run], baseline="ground-truth", systems=["good"], columns=["mos"])
    assert [(one.system, one.baseline, one.verdict) for one in real.rows] == [("good", "ground-truth", "worse")]


def test_a_column_without_a_direction_is_higher_or_lower(run: RunFolder, tmp_path: Path) -> None:
    apart = {name: dict(values) for name, values in SYSTEMS["good"].items()}
    apart["share"] = dict.fromkeys(CLIPS, 0.9)
    made = make_run(tmp_path / "r", {"a": SYSTEMS["bad"], "b": apart}, CLIPS)
    found = compare_runs([made], columns=["share"])
    assert [one.verdict for one in found.rows] == ["higher"]
    assert "share" in {one.column.name for one in compare_runs([run], all_columns=True).rows}


def test_missing_clips_are_not_ranked_and_the_reason_is_given(tmp_path: Path) -> None:
    lucky = {name: {c: v for c, v in values.items() if c not in CLIPS[:2]} for name, values in SYSTEMS["good"].items()}
    made = make_run(tmp_path / "r", {"lucky": lucky, "bad": SYSTEMS["bad"]}, CLIPS)
    found = compare_runs([made], columns=["wer"]).rows[0]
    assert (found.verdict, found.difference, found.p_holm) == ("not comparable", None, None)
    assert found.why == "lucky has 28 of 30 clips, below 99%"
    lower = compare_runs([made], columns=["wer"], coverage_floor=0.9).rows[0]
    assert lower.verdict == "worse"
    assert lower.difference is not None
    assert lower.difference.clips == 28
    with pytest.raises(F2VError, match="between 0 and 1"):
        compare_runs([made], coverage_floor=99)


def test_different_signatures_are_never_ranked(run: RunFolder, tmp_path: Path) -> None:
    other = make_run(tmp_path / "two", {"new": SYSTEMS["bad"]}, CLIPS, signatures={"wer": "wer:v1|model:b|beam:5"})
    found = compare_runs([run, other], systems=["good", "new"])
    assert row_of(found, "wer", "new", "good").why == "different signatures: model:b|beam:5 / model:a"
    assert row_of(found, "mos", "new", "good").verdict == "worse"


def test_a_missing_column_or_another_reference_is_the_reason(run: RunFolder, tmp_path: Path) -> None:
    fewer = make_run(tmp_path / "fewer", {"new": SYSTEMS["bad"]}, CLIPS, columns=[MOS, SHARE])
    found = compare_runs([run, fewer], systems=["good", "new"])
    assert row_of(found, "wer", "new", "good").why == "the run of new does not have this column"
    moved = make_run(tmp_path / "moved", {"new": SYSTEMS["bad"]}, CLIPS, inputs="audio2:another text")
    found = compare_runs([run, moved], systems=["good", "new"])
    assert "30 clips were scored against another reference or transcript" in row_of(found, "wer", "new", "good").why


def test_equal_labels_are_prefixed_with_their_run(run: RunFolder, tmp_path: Path) -> None:
    after = make_run(tmp_path / "after", {"good": around(0.1, 3.9, 5)}, CLIPS)
    found = compare_runs([run, after], systems=["good"])
    assert {(one.system, one.baseline) for one in found.rows} == {("after/good", "one/good")}
    assert row_of(found, "wer", "after/good", "one/good").verdict == "better"
    with pytest.raises(F2VError, match="'good' is a system of several runs"):
        compare_runs([run, after], baseline="good")
    namesake = make_run(tmp_path / "elsewhere" / "one", {"good": SYSTEMS["good"]}, CLIPS)
    found = compare_runs([run, namesake], systems=["good"])
    assert found.rows[0].system == f"{namesake.path}/good"


def test_different_lists_are_refused_without_intersection(run: RunFolder, tmp_path: Path) -> None:
    part = make_run(tmp_path / "part", {"new": around(0.6, 2.0, 6, CLIPS[:20])}, CLIPS[:20])
    with pytest.raises(F2VError, match="their clip lists differ") as refusal:
        compare_runs([run, part])
    assert "--intersection" in refusal.value.do
    found = row_of(compare_runs([run, part], intersection=True, systems=["good", "new"]), "wer", "new", "good")
    assert found.verdict == "worse"
    assert found.difference is not None
    assert found.difference.clips == 20
    stranger = make_run(tmp_path / "stranger", {"new": SYSTEMS["bad"]}, [*CLIPS[:29], "s/x"], dataset="other")
    with pytest.raises(F2VError, match="different corpora"):
        compare_runs([run, stranger], intersection=True)


def test_unknown_names_are_errors_with_a_hint(run: RunFolder, tmp_path: Path) -> None:
    for wrong in ({"systems": ["god"]}, {"baseline": "god"}, {"columns": ["werr"]}):
        with pytest.raises(F2VError) as refusal:
            compare_runs([run], **wrong)  # type: ignore[arg-type]
        assert "did you mean" in refusal.value.do
    alone = make_run(tmp_path / "alone", {"good": SYSTEMS["good"]}, CLIPS)
    with pytest.raises(F2VError, match="nothing to compare"):
        compare_runs([alone])


def test_speakers_are_the_units_where_there_are_enough(tmp_path: Path) -> None:
    clips = clip_ids(40, speakers=10)
    made = make_run(tmp_path / "r", {"a": around(0.2, 3, 7, clips), "b": around(0.5, 3, 8, clips)}, clips)
    found = compare_runs([made], columns=["wer"])
    assert found.rows[0].difference is not None
    assert (found.rows[0].difference.units, found.rows[0].difference.count) == ("speakers", 10)
    assert "over speakers" in found.notes[0]
    assert "40 (10 speakers)" in markdown(found)


def test_files_match_the_terminal(comparison: Comparison, tmp_path: Path) -> None:
    from rich.console import Console

    out = Console(width=200, file=io.StringIO())
    out.print(terminal_comparison(comparison))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    for part in ("bad", "good", "not separable", "worse", "p Holm", "WER % ↓"):
        assert part in text
    rows = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert len(rows) == len(comparison.rows)
    found = comparison.rows[1].difference
    assert found is not None
    assert float(rows[1]["difference"]) == pytest.approx(found.value, abs=1e-12)
    table = [row for row in markdown(comparison).splitlines() if row.startswith("|")]
    assert len(table) == 2 + len(comparison.rows)
    assert {row.count("|") for row in table} == {12}
    tex = latex(comparison)
    body = [row for row in tex.splitlines() if row.endswith("\\\\")]
    assert {row.replace("\\&", "").count("&") for row in body} == {10}
    assert "{[" in tex
    for suffix in ("md", "csv", "tex"):
        write_comparison(comparison, tmp_path / f"c.{suffix}")
    assert (tmp_path / "c.tex").read_text() == tex
    with pytest.raises(F2VError, match="is not supported"):
        write_comparison(comparison, tmp_path / "c.xlsx")
    with pytest.raises(F2VError, match="does not exist"):
        write_comparison(comparison, tmp_path / "none" / "c.md")


def test_small_p_values_are_not_rounded_to_zero() -> None:
    assert (p_text(0.0123), p_text(0.00004), p_text(1.0), p_text(None)) == ("0.012", "4e-05", "1", "")


def test_a_reason_stands_beside_its_verdict(comparison: Comparison) -> None:
    blocked = replace(comparison.rows[0], verdict="not comparable", why="because")
    assert verdict_text(blocked) == "not comparable: because"


def test_reference_rows_are_ranked_only_where_fewer_than_two_others_exist(tmp_path: Path) -> None:
    table = SYSTEMS | {"resynthesis": around(0.05, 4.2, 5)}
    results = read_results(make_run(tmp_path / "many", table, CLIPS))
    assert results.reference_rows == ["ground-truth", "resynthesis"]
    assert {label for label, _ in results.ranking.leaders} == {"good", "alike"}
    assert "Reference rows, not ranked because they play real speech: ground-truth, resynthesis." in results.notes
    few = {label: table[label] for label in ("ground-truth", "resynthesis", "good")}
    results = read_results(make_run(tmp_path / "few", few, CLIPS))
    assert results.reference_rows == ["ground-truth"]
    assert {label for label, _ in results.ranking.leaders} == {"resynthesis"}


def test_the_results_table_has_the_leaders_bold(run: RunFolder) -> None:
    results = read_results(run)
    expected = {(label, column) for label in ("good", "alike") for column in ("wer", "mos")}
    assert results.ranking.leaders == expected
    assert results.ranking.tests == 4
    lines = {row.split(" | ")[0][2:]: row for row in results_markdown(results).splitlines() if row.startswith("| ")}
    assert {label: row.count("**") for label, row in lines.items() if label != "system"} == {
        "ground-truth": 0,
        "good": 4,
        "alike": 4,
        "bad": 0,
    }
    assert results_latex(results).count("\\textbf{") == 4
    assert "Bold: the best value" in "\n".join(results.notes)
    columns = terminal_table(results).columns[1:]
    bold = {c.header for c in columns if any("bold" in str(span.style) for cell in c.cells for span in cell.spans)}  # type: ignore[union-attr]
    assert bold == {"good", "alike"}


def test_nothing_is_bold_without_two_systems_to_rank(tmp_path: Path) -> None:
    pair = {label: SYSTEMS[label] for label in ("ground-truth", "good")}
    results = read_results(make_run(tmp_path / "r", pair, CLIPS))
    assert not results.ranking.leaders
    assert "Bold" not in "\n".join(results.notes)
    assert "**" not in results_markdown(results).partition("\n")[2]


def test_systems_below_the_coverage_floor_are_in_the_notes(tmp_path: Path) -> None:
    lucky = {name: {c: v for c, v in values.items() if c not in CLIPS[:2]} for name, values in SYSTEMS["good"].items()}
    systems = {"lucky": lucky, "alike": SYSTEMS["alike"], "bad": SYSTEMS["bad"]}
    results = read_results(make_run(tmp_path / "r", systems, CLIPS, columns=[WER]))
    assert results.ranking.leaders == {("alike", "wer")}
    assert "lucky is not ranked where it has values for less than 99% of the clips: wer." in results.notes
