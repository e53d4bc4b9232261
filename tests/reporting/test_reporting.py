from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.metrics.base import MetricUnavailable
from f2v_bench.reporting.results import Results, read_results
from f2v_bench.reporting.spectrogram import pick_clip, spectrogram_grid, write_spectrograms
from f2v_bench.reporting.table import csv_text, latex, markdown, terminal_table, write_tables
from f2v_bench.runs.executor import run
from f2v_bench.runs.folder import RunFolder
from tests.runs.toys import Loudness, Noise, RecordedProgress, make_clips, run_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("run")
    clips = make_clips(root / "clips", 6)
    one = run_spec(clips, Noise(), Loudness())
    two = replace(
        one,
        systems=[("noise", Noise()), ("50%_of&it", Noise(failing=frozenset({clips[0].id, clips[1].id})))],
        unavailable=[MetricUnavailable("utmos", "weights are missing", "pull them")],
        list_size=10,
        notes=["a note | with a bar"],
    )
    folder = RunFolder(root / "run")
    run(two, folder, RecordedProgress())
    return folder


@pytest.fixture(scope="module")
def results(folder: RunFolder) -> Results:
    return read_results(folder)


def test_estimates_carry_coverage_and_interval(results: Results) -> None:
    full, part = (results.cells[label, "rms"] for label in ("noise", "50%_of&it"))
    assert (full.scored, full.expected, part.scored, part.expected) == (6, 6, 4, 6)
    assert full.value is not None
    assert full.low is not None
    assert full.high is not None
    assert full.low < full.value < full.high
    assert results.title == "toys/test: first 6 of 10 clips, seed 0"


def test_notes_list_protocol_and_provenance(results: Results) -> None:
    text = "\n".join(results.notes)
    for part in (
        "BCa bootstrap over clips",
        "loudness: loudness:1",
        "utmos: unavailable",
        "speaker embedding source: none",
        "a note",
    ):
        assert part in text


def test_markdown_has_one_line_per_system_and_one_cell_per_column(results: Results) -> None:
    lines = [line for line in markdown(results).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}
    assert "0.10 [0.10, 0.10] (6/6)" in lines[2]
    assert "(4/6)" in lines[3]
    assert "50%\\_of&it" in lines[3]


def test_csv_is_tidy_and_unrounded(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(results))))
    assert [(row["system"], row["column"], row["scored"]) for row in rows] == [
        ("noise", "rms", "6"),
        ("50%_of&it", "rms", "4"),
    ]
    cell = results.cells["noise", "rms"]
    assert float(rows[0]["value"]) == pytest.approx(cell.value, abs=1e-12)
    assert rows[0]["signature"] == "loudness:1"


def test_latex_is_booktabs_and_escaped(results: Results) -> None:
    text = latex(results)
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert [line.strip() for line in body if "rule" in line] == ["\\toprule", "\\midrule", "\\bottomrule"]
    assert "50\\%\\_of\\&it" in text
    assert "↑" not in "\n".join(body)
    rows = [line for line in body if line.endswith("\\\\")]
    assert {line.replace("\\&", "").count("&") for line in rows} == {1}
    assert text.count("{") - text.count("\\{") == text.count("}") - text.count("\\}")


def test_terminal_table_shows_value_interval_and_coverage(results: Results) -> None:
    from rich.console import Console

    out = Console(width=100, file=io.StringIO())
    out.print(terminal_table(results))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "0.10" in text
    assert "6/6" in text
    assert "4/6" in text


def test_files_are_written(folder: RunFolder, results: Results, tmp_path: Path) -> None:
    assert [path.name for path in write_tables(results, tmp_path)] == ["table.md", "table.csv", "table.tex"]
    pictures = write_spectrograms(folder, pick_clip(folder, None))
    assert [path.suffix for path in pictures] == [".png", ".pdf"]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert pictures[1].read_bytes().startswith(b"%PDF")


def test_the_grid_shares_time_and_level_and_shows_what_is_missing(folder: RunFolder) -> None:
    clip = folder.table("clips")["id"].iloc[0]
    figure = spectrogram_grid(folder, clip)
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in panels] == ["noise", "50%_of&it"]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    assert "no audio: too_short" in [text.get_text() for text in panels[1].texts]
    image = panels[0].images[0]
    low, high = image.get_clim()
    assert high - low == pytest.approx(80)
    assert high == pytest.approx(float(np.max(image.get_array())))


def test_pick_clip(folder: RunFolder) -> None:
    audio = folder.table("audio")
    picked = pick_clip(folder, None)
    assert (audio[audio["clip"] == picked]["status"] == "ok").all()
    assert pick_clip(folder, "s0/0") == "s0/0"
    with pytest.raises(F2VError, match="no clip 's0/99'"):
        pick_clip(folder, "s0/99")


def test_an_unfinished_run_has_no_results(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="is not a run folder"):
        read_results(RunFolder(tmp_path))
