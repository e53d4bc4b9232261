"""The results table: in the terminal, and as Markdown, CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.reporting.results import Heading, Results
from f2v_bench.scoring.statistics import CONFIDENCE, Estimate
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    from rich.table import Table

MISSING = "–"


def cell_parts(cell: Estimate, heading: Heading) -> tuple[str, str, str]:
    """Value, interval and coverage of one cell, as text; an interval that is not known is empty."""
    coverage = f"{cell.scored}/{cell.expected}"
    if cell.value is None:
        return MISSING, "", coverage
    value = heading.number(cell.value)
    if cell.low is None or cell.high is None:
        return value, "", coverage
    return value, f"[{heading.number(cell.low)}, {heading.number(cell.high)}]", coverage


def terminal_table(results: Results) -> Table:
    """For the terminal, which is narrow: metrics as rows, systems as columns; value, interval and coverage."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=results.title, title_justify="left", header_style="bold")
    table.add_column("metric", no_wrap=True)
    for row in results.rows:
        table.add_column(row.label, justify="right")
    for heading in results.headings:
        cells = []
        for row in results.rows:
            value, interval, coverage = cell_parts(results.cells[row.label, heading.name], heading)
            weight = "bold" if (row.label, heading.name) in results.ranking.leaders else ""
            cells.append(Text.assemble((value, weight), (f" {interval} {coverage}".replace("  ", " "), "dim")))
        table.add_row(heading.title, *cells)
    return table


def markdown(results: Results) -> str:
    """A GitHub table, a system a row, with its notes."""
    head = [heading.title for heading in results.headings]
    rows = [[row.label, *(_cell(results, row.label, heading) for heading in results.headings)] for row in results.rows]
    return _github(results.title, ["system", *head], rows, results.notes)


def markdown_by_column(results: Results, labels: Sequence[str]) -> str:
    """A GitHub table of some systems, a column of the metrics a row, nothing ranked: for the card of a model."""
    chosen = [row for row in results.rows if row.label in labels]
    rows = [
        [heading.title, *(_cell(results, row.label, heading, ranked=False) for row in chosen)]
        for heading in results.headings
    ]
    notes = [*results.interval_notes, *(row.note for row in chosen), *results.signature_notes]
    return _github(results.title, ["metric", *(row.label for row in chosen)], rows, notes)


def _cell(results: Results, label: str, heading: Heading, *, ranked: bool = True) -> str:
    value, interval, coverage = cell_parts(results.cells[label, heading.name], heading)
    if ranked and (label, heading.name) in results.ranking.leaders:
        value = f"**{value}**"
    return f"{value} {interval} ({coverage})".replace("  ", " ")


def _github(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    lines = [
        f"**{escape_markdown(title)}**",
        "",
        f"| {' | '.join(escape_markdown(one) for one in head)} |",
        "|---" + "|---:" * (len(head) - 1) + "|",
        *(f"| {escape_markdown(row[0])} | {' | '.join(row[1:])} |" for row in rows),
        "",
        *(f"- {escape_markdown(note)}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table."""
    return re.sub(r"([\\|*_`<>])", r"\\\1", text)


def csv_text(results: Results) -> str:
    """One line a system and column, unrounded, in the column's own unit (ratios are not turned into per cent)."""
    import pandas as pd

    rows = []
    for row in results.rows:
        for heading in results.headings:
            cell = results.cells[row.label, heading.name]
            rows.append(
                {
                    "list": results.manifest["dataset"]["list_id"],
                    "system": row.label,
                    "column": heading.name,
                    "value": cell.value,
                    "low": cell.low,
                    "high": cell.high,
                    "confidence": CONFIDENCE,
                    "scored": cell.scored,
                    "expected": cell.expected,
                    "resampled": cell.units,
                    "leads": (row.label, heading.name) in results.ranking.leaders,
                    "aggregate": heading.aggregate,
                    "unit": "ratio" if heading.unit == "%" else heading.unit,
                    "higher_is_better": heading.higher_is_better,
                    "voice_from": row.speaker_reference,
                    "signature": heading.signature,
                    "provenance": row.provenance,
                }
            )
    return pd.DataFrame(rows).to_csv(index=False)


_LATEX = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", MISSING: "--"}


def latex(results: Results) -> str:
    r"""A booktabs table (``\usepackage{booktabs}``) with its notes as comments and as a caption."""
    headings = results.headings
    lines = [
        "% \\usepackage{booktabs}",
        *(f"% {note}" for note in results.notes),
        "\\begin{table}[t]",
        "  \\centering",
        "  \\caption{" + escape_latex(_caption(results)) + "}",
        "  \\begin{tabular}{l" + "r" * len(headings) + "}",
        "    \\toprule",
        "    System & " + " & ".join(escape_latex(heading.title) for heading in headings) + " \\\\",
        "    \\midrule",
    ]
    for row in results.rows:
        parts = [cell_parts(results.cells[row.label, heading.name], heading) for heading in headings]
        values = [
            f"\\textbf{{{escape_latex(v)}}}"
            if (row.label, heading.name) in results.ranking.leaders
            else escape_latex(v)
            for heading, (v, _, _) in zip(headings, parts, strict=True)
        ]
        lines.append(f"    {escape_latex(row.label)} & " + " & ".join(values) + " \\\\")
        small = [f"\\scriptsize {_interval_latex(i)}{_coverage_latex(c)}" for _, i, c in parts]
        lines.append("    & " + " & ".join(small) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


def _interval_latex(interval: str) -> str:
    return "{" + interval + "}" if interval else ""  # braces: a bracket after \\ would be read as a length


def _coverage_latex(coverage: str) -> str:
    scored, _, expected = coverage.partition("/")
    return "" if scored == expected else f" {coverage}"


def _caption(results: Results) -> str:
    units = sorted({cell.units for cell in results.cells.values() if cell.low is not None})
    interval = f" {CONFIDENCE:.0%} BCa bootstrap intervals over {' or '.join(units)}." if units else ""
    bold = " Bold: best, and not separable from it." if results.ranking.leaders else ""
    return f"{results.title}.{interval}{bold} A fraction gives the scored clips where some are missing."


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is; arrows and the sign for nothing become commands."""
    text = text.replace("\\", r"\textbackslash ")
    text = re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde{}").replace("^", r"\^{}")
    for sign, command in _LATEX.items():
        text = text.replace(sign, command)
    return text


FORMATS: dict[str, Callable[[Results], str]] = {"md": markdown, "csv": csv_text, "tex": latex}


def write_tables(results: Results, folder: Path) -> list[Path]:
    """``table.md``, ``table.csv`` and ``table.tex`` in the folder."""
    written = []
    for suffix, render in FORMATS.items():
        path = folder / f"table.{suffix}"
        atomic_write(path, render(results))
        written.append(path)
    return written
