from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from f2v_bench.cli.main import app
from f2v_bench.errors import F2VError
from tests.reporting.made_runs import make_run
from tests.reporting.test_comparison import CLIPS, SYSTEMS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", SYSTEMS, CLIPS).path


def test_compare_prints_differences_with_intervals_and_p_values(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.md"
    result = CliRunner().invoke(app, ["compare", str(folder), "--baseline", "good", "-o", str(out)])
    assert result.exit_code == 0, result.output
    for part in ("difference", "95 % interval", "p Holm", "worse", "not separable", "paired permutation test", "c.md"):
        assert part in result.output
    assert "worse" in out.read_text()


def test_columns_and_systems_can_be_chosen(folder: Path) -> None:
    result = CliRunner().invoke(
        app, ["compare", str(folder), "--system", "good", "--system", "bad", "--columns", "mos,share"]
    )
    assert result.exit_code == 0, result.output
    assert "MOS" in result.output
    assert "share" in result.output
    assert "WER" not in result.output
    assert "alike" not in result.output


def test_incomparable_runs_are_an_error_with_a_remedy(folder: Path, tmp_path: Path) -> None:
    part = make_run(tmp_path / "part", {"good": SYSTEMS["good"]}, CLIPS[:20]).path
    result = CliRunner().invoke(app, ["compare", str(folder), str(part)])
    assert isinstance(result.exception, F2VError)
    assert "--intersection" in str(result.exception)
    assert CliRunner().invoke(app, ["compare", str(folder), str(part), "--intersection"]).exit_code == 0
