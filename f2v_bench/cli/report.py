"""``f2v-bench report``: tables and spectrograms of a finished run, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from f2v_bench.cli.run import AllColumns, Columns

EXAMPLES = """
Examples:

f2v-bench report runs/demo-test

f2v-bench report runs/grid-test --clip s1/bbaf2n --all-columns

f2v-bench report runs/demo-test --columns wer,dnsmos_ovrl,rmse_f0,estoi
"""


def report(
    run_folder: Annotated[Path, typer.Argument(help="Folder printed by 'run' or 'score'.")],
    clip: Annotated[str | None, typer.Option(help="Clip of the spectrogram grid.")] = None,
    columns: Columns = None,
    all_columns: AllColumns = False,
) -> int:
    """Write table (Markdown, CSV, LaTeX) and spectrogram grid (PNG, PDF) of a finished run, and print the table."""
    from f2v_bench.api import Result
    from f2v_bench.cli.output import print_results
    from f2v_bench.runs.build import split_names

    print_results(Result(run_folder), columns=split_names(columns), all_columns=all_columns, clip=clip)
    return 0
