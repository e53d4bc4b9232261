"""Results table for the terminal and notebooks, and as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.reporting.results import ColumnInfo, Results
from f2v_bench.scoring.statistics import CONFIDENCE, Estimate
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

MISSING = "–"


def cell_parts(cell: Estimate, column: ColumnInfo) -> tuple[str, str, str]:
    """Return value, interval and coverage of one cell as text; an unknown interval is empty."""
    coverage = f"{cell.scored}/{cell.expected}"
    if cell.value is None:
        return MISSING, "", coverage
    value = column.format(cell.value)
    if cell.low is None or cell.high is None:
        return value, "", coverage
    return value, f"[{column.format(cell.low)}, {column.format(cell.high)}]", coverage


def paper_table(results: Results) -> pd.DataFrame:
    """Return a data frame of text, systems as rows: ``value [interval] (coverage)``."""
    import pandas as pd

    return pd.DataFrame(
        {
            column.title: [_cell(results, system.label, column, mark_best=False) for system in results.systems]
            for column in results.columns
        },
        index=pd.Index([system.label for system in results.systems], name="system"),
    )


def terminal_table(results: Results) -> Table:
    """Return a table for a narrow terminal: metrics as rows, systems as columns; value, interval and coverage."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=results.title, title_justify="left", header_style="bold")
    table.add_column("metric", no_wrap=True)
    for system in results.systems:
        table.add_column(system.label, justify="right")
    for column in results.columns:
        cells = []
        for system in results.systems:
            value, interval, coverage = cell_parts(results.cells[system.label, column.name], column)
            weight = "bold" if results.is_best(system.label, column.name) else ""
            cells.append(Text.assemble((value, weight), (f" {interval} {coverage}".replace("  ", " "), "dim")))
        table.add_row(column.title, *cells)
    return table


def html_table(results: Results) -> str:
    """Return an HTML table with its notes, systems as rows; every text is escaped."""
    header = "".join(f"<th>{html.escape(column.title)}</th>" for column in results.columns)
    lines = [
        f"<table><caption>{html.escape(results.title)}</caption>",
        f"<thead><tr><th>system</th>{header}</tr></thead><tbody>",
    ]
    for system in results.systems:
        cells = []
        for column in results.columns:
            parts = cell_parts(results.cells[system.label, column.name], column)
            value, interval, coverage = (html.escape(part) for part in parts)
            if results.is_best(system.label, column.name):
                value = f"<b>{value}</b>"
            cells.append(f"<td>{value}<br><small>{interval} {coverage}</small></td>")
        lines.append(f"<tr><th>{html.escape(system.label)}</th>{''.join(cells)}</tr>")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in results.notes)
    return "\n".join([*lines, "</tbody></table>", f"<details><summary>Protocol</summary><ul>{notes}</ul></details>"])


def markdown(results: Results) -> str:
    """Return a GitHub table with its notes, systems as rows."""
    header = [column.title for column in results.columns]
    rows = [
        [system.label, *(_cell(results, system.label, column) for column in results.columns)]
        for system in results.systems
    ]
    return _github(results.title, ["system", *header], rows, results.notes)


def markdown_by_column(results: Results, labels: Sequence[str]) -> str:
    """Return a GitHub table of some systems for a model card: metrics as rows, nothing ranked."""
    selected = [system for system in results.systems if system.label in labels]
    rows = [
        [column.title, *(_cell(results, system.label, column, mark_best=False) for system in selected)]
        for column in results.columns
    ]
    notes = [*results.interval_notes, *(system.note for system in selected), *results.signature_notes]
    return _github(results.title, ["metric", *(system.label for system in selected)], rows, notes)


def _cell(results: Results, label: str, column: ColumnInfo, *, mark_best: bool = True) -> str:
    value, interval, coverage = cell_parts(results.cells[label, column.name], column)
    if mark_best and results.is_best(label, column.name):
        value = f"**{value}**"
    return f"{value} {interval} ({coverage})".replace("  ", " ")


def _github(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    lines = [
        f"**{escape_markdown(title)}**",
        "",
        f"| {' | '.join(escape_markdown(one) for one in header)} |",
        "|---" + "|---:" * (len(header) - 1) + "|",
        *(f"| {escape_markdown(row[0])} | {' | '.join(row[1:])} |" for row in rows),
        "",
        *(f"- {escape_markdown(note)}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """Escape text for Markdown, also inside a table."""
    return re.sub(r"([\\|*_`<>])", r"\\\1", text)


def csv_text(results: Results) -> str:
    """Return one line per system and column, unrounded and in stored units."""
    return results.to_frame().to_csv(index=False)


_LATEX = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", MISSING: "--"}


def latex(results: Results) -> str:
    r"""Return a booktabs table (``\usepackage{booktabs}``) with a caption, and its notes as comments."""
    columns = results.columns
    lines = [
        "% \\usepackage{booktabs}",
        *(f"% {note}" for note in results.notes),
        "\\begin{table}[t]",
        "  \\centering",
        "  \\caption{" + escape_latex(_caption(results)) + "}",
        "  \\begin{tabular}{l" + "r" * len(columns) + "}",
        "    \\toprule",
        "    System & " + " & ".join(escape_latex(column.title) for column in columns) + " \\\\",
        "    \\midrule",
    ]
    for system in results.systems:
        parts = [cell_parts(results.cells[system.label, column.name], column) for column in columns]
        values = [
            f"\\textbf{{{escape_latex(v)}}}" if results.is_best(system.label, column.name) else escape_latex(v)
            for column, (v, _, _) in zip(columns, parts, strict=True)
        ]
        lines.append(f"    {escape_latex(system.label)} & " + " & ".join(values) + " \\\\")
        small = [f"\\scriptsize {_interval_latex(i)}{_coverage_latex(c)}" for _, i, c in parts]
        lines.append("    & " + " & ".join(small) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


def _interval_latex(interval: str) -> str:
    return "{" + interval + "}" if interval else ""  # braces: LaTeX takes a bracket after \\ for a length


def _coverage_latex(coverage: str) -> str:
    scored, _, expected = coverage.partition("/")
    return "" if scored == expected else f" {coverage}"


def _caption(results: Results) -> str:
    units = sorted({cell.units for cell in results.cells.values() if cell.low is not None})
    interval = f" {CONFIDENCE:.0%} BCa bootstrap intervals over {' or '.join(units)}." if units else ""
    bold = " Bold: best, and not separable from it." if results.ranking.leaders else ""
    return f"{results.title}.{interval}{bold} A fraction gives the scored clips where some are missing."


def escape_latex(text: str) -> str:
    """Escape text for LaTeX; arrows and the sign of a missing value become commands."""
    text = text.replace("\\", r"\textbackslash ")
    text = re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde{}").replace("^", r"\^{}")
    for symbol, command in _LATEX.items():
        text = text.replace(symbol, command)
    return text


FORMATS: dict[str, Callable[[Results], str]] = {"md": markdown, "csv": csv_text, "tex": latex}


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv`` and ``table.tex``, and return their paths."""
    written = []
    for suffix, render in FORMATS.items():
        path = folder / f"table.{suffix}"
        atomic_write(path, render(results))
        written.append(path)
    return written
