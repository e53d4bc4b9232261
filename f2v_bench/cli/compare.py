"""``f2v-bench compare``: differences between the systems of finished runs, with intervals and p-values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from f2v_bench.cli.run import AllColumns, Columns

EXAMPLES = """
Examples:

f2v-bench compare runs/demo-test

f2v-bench compare runs/before runs/after --system ours

f2v-bench compare runs/grid-test --baseline resynthesis --columns wer,stoi -o compare.md -o compare.tex
"""


def compare(
    run_folders: Annotated[list[Path], typer.Argument(help="Folders printed by 'run' or 'score'.")],
    baseline: Annotated[
        str | None, typer.Option(help="System that all others are compared with. Default: every pair.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(help="System to compare (LABEL or RUN/LABEL); may be given several times. Default: all."),
    ] = None,
    columns: Columns = None,
    all_columns: AllColumns = False,
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Compare runs of different lists on the clips they have in common.")
    ] = False,
    coverage_floor: Annotated[
        float | None, typer.Option(help="Share of clips that a system must have a value for. Default: 0.99.")
    ] = None,
    out: Annotated[
        list[Path] | None, typer.Option("--out", "-o", help="Also write this file: .md, .csv or .tex.")
    ] = None,
) -> int:
    """Compare systems pair by pair: difference, 95 % interval, p-value, verdict. Reads run folders only."""
    from f2v_bench import api
    from f2v_bench.cli.console import console
    from f2v_bench.reporting.comparison_table import terminal_comparison, write_comparison
    from f2v_bench.runs.build import split_names
    from f2v_bench.scoring.comparison import COVERAGE_FLOOR

    comparison = api.compare(
        *run_folders,
        baseline=baseline,
        systems=system or [],
        columns=split_names(columns),
        all_columns=all_columns,
        intersection=intersection,
        coverage_floor=COVERAGE_FLOOR if coverage_floor is None else coverage_floor,
    )
    for path in out or []:
        write_comparison(comparison, path)
    terminal = console()
    terminal.print(terminal_comparison(comparison))
    for note in comparison.notes:
        terminal.print(f"  {note}", markup=False, highlight=False, style="dim", soft_wrap=True)
    for path in out or []:
        terminal.print(f"{path}", markup=False, highlight=False, soft_wrap=True)
    return 0
