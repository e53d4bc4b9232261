"""Output of ``run``, ``score`` and ``report``: notes, failures, table and paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from f2v_bench.cli.console import console, error_console

if TYPE_CHECKING:
    from f2v_bench.reporting.result import Result

EXIT_SOME_FAILED = 3
EXAMPLES_PER_KIND = 3


def print_log(message: str) -> None:
    """Print a message of a run, ``kind: text``, with its kind in color."""
    from rich.text import Text

    kind, colon, text = message.partition(": ")
    error_console().print(Text.assemble((kind + colon.rstrip(), "yellow"), f" {text}"))


def print_outcome(result: Result, *, all_columns: bool) -> int:
    """Print failures and results of a run; return the exit code."""
    has_failures = print_failures(result)
    print_results(result, all_columns=all_columns)
    return EXIT_SOME_FAILED if has_failures else 0


def print_failures(result: Result) -> bool:
    """Print each kind of failure with its count and a few examples; return True where there are any."""
    messages = error_console()
    kinds = result.failures_by_kind
    for kind, clips in sorted(kinds.items()):
        messages.print(f"[yellow]{kind}[/]: {len(clips)}", highlight=False)
        for name, detail in sorted(clips.items())[:EXAMPLES_PER_KIND]:
            messages.print(f"  {name}: {detail}", markup=False, highlight=False)
        if len(clips) > EXAMPLES_PER_KIND:
            messages.print("  ... all of them are in scores.parquet, audio.parquet and clips.parquet", highlight=False)
    return bool(kinds)


def print_results(
    result: Result, *, columns: Sequence[str] = (), all_columns: bool = False, clip: str | None = None
) -> None:
    """Write tables and spectrograms to the run folder, and print the table and the paths."""
    from f2v_bench.reporting.table import terminal_table

    written, no_spectrogram = result.write_report(columns, all_columns=all_columns, clip=clip)
    results = result.results(columns, all_columns=all_columns)
    out = console()
    out.print(terminal_table(results))
    for note in results.notes:
        out.print(f"  {note}", markup=False, highlight=False, style="dim", soft_wrap=True)
    if no_spectrogram:
        error_console().print(f"[yellow]no spectrogram:[/] {no_spectrogram}", highlight=False)
    for file in written:
        out.print(f"{file}", markup=False, highlight=False, soft_wrap=True)
