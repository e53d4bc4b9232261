"""``f2v-bench report``: tables and pictures of a finished run, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
Examples:

f2v-bench report runs/demo-test

f2v-bench report runs/grid-test --clip s1/bbaf2n --all-columns
"""


def report(
    run_folder: Annotated[Path, typer.Argument(help="The folder that 'run' or 'score' printed.")],
    clip: Annotated[str | None, typer.Option(help="Clip of the spectrogram grid.")] = None,
    all_columns: Annotated[
        bool, typer.Option("--all-columns", help="Also the columns that accompany a headline number.")
    ] = False,
) -> int:
    """Write the table (Markdown, CSV, LaTeX) and the spectrogram grid (PNG, PDF) again, and show the table."""
    from f2v_bench.cli.session import show

    show(run_folder, all_columns=all_columns, clip=clip)
    return 0
