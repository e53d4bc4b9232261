"""The results table: in the terminal, and as Markdown, CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.reporting.results import Heading, Results
from f2v_bench.runs.folder import replace
from f2v_bench.scoring.statistics import CONFIDENCE, Estimate

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
    """For the terminal: value, interval and coverage under one another."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=results.title, title_justify="left", show_lines=True, header_style="bold")
    table.add_column("system", no_wrap=True)
    for heading in results.headings:
        table.add_column(heading.title, justify="right")
    for row in results.rows:
        cells = []
        for heading in results.headings:
            value, interval, coverage = cell_parts(results.cells[row.label, heading.name], heading)
            cells.append(Text.assemble((value, "bold"), "\n", (interval, "dim"), "\n", (coverage, "dim")))
        table.add_row(row.label, *cells)
    return table


def markdown(results: Results) -> str:
    """A GitHub table with its notes."""
    lines = [
        f"**{_escape_markdown(results.title)}**",
        "",
        "| system | " + " | ".join(_escape_markdown(heading.title) for heading in results.headings) + " |",
        "|---" + "|---:" * len(results.headings) + "|",
    ]
    for row in results.rows:
        parts = [cell_parts(results.cells[row.label, heading.name], heading) for heading in results.headings]
        cells = [f"{value} {interval} ({coverage})".replace("  ", " ") for value, interval, coverage in parts]
        lines.append(f"| {_escape_markdown(row.label)} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {_escape_markdown(note)}" for note in results.notes)]
    return "\n".join(lines) + "\n"


def _escape_markdown(text: str) -> str:
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
        "  \\caption{" + _escape_latex(_caption(results)) + "}",
        "  \\begin{tabular}{l" + "r" * len(headings) + "}",
        "    \\toprule",
        "    System & " + " & ".join(_escape_latex(heading.title) for heading in headings) + " \\\\",
        "    \\midrule",
    ]
    for row in results.rows:
        parts = [cell_parts(results.cells[row.label, heading.name], heading) for heading in headings]
        lines.append(f"    {_escape_latex(row.label)} & " + " & ".join(_escape_latex(v) for v, _, _ in parts) + " \\\\")
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
    return f"{results.title}.{interval} A fraction gives the scored clips where some are missing."


def _escape_latex(text: str) -> str:
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
        replace(path, render(results).encode())
        written.append(path)
    return written
