"""Comparison as a terminal table, Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError
from f2v_bench.reporting.comparison import Comparison, ComparisonRow
from f2v_bench.reporting.table import MISSING, escape_latex, escape_markdown
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("column", "system", "value", "baseline", "value", "difference", "95 % interval", "p", "p Holm", "n")
_COLORS = {"better": "green", "worse": "red"}


def row_cells(row: ComparisonRow) -> list[str]:
    """Return one row as text, without its verdict."""
    column, found = row.column, row.difference
    if found is None:
        return [column.title, row.system, MISSING, row.baseline, MISSING, MISSING, "", "", "", ""]
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f"[{_signed(found.low, row)}, {_signed(found.high, row)}]"
    count = f"{found.clips}" if found.units == "clips" else f"{found.clips} ({found.count} {found.units})"
    return [
        column.title,
        row.system,
        column.format(found.ours),
        row.baseline,
        column.format(found.theirs),
        _signed(found.value, row),
        interval,
        p_text(found.p),
        p_text(row.p_holm),
        count,
    ]


def _signed(value: float, row: ComparisonRow) -> str:
    text = row.column.format(value)
    return f"+{text}" if value > 0 else text


def p_text(p: float | None) -> str:
    """Return a p-value with two significant digits."""
    return "" if p is None else f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}"


def verdict_text(row: ComparisonRow) -> str:
    """Return the verdict, with its reason where there is one."""
    return f"{row.verdict}: {row.why}" if row.why else row.verdict


def terminal_comparison(comparison: Comparison) -> Table:
    """Return a table for the terminal, with one section per column."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=comparison.title, title_justify="left", header_style="bold")
    for name in HEADER:
        table.add_column(name, justify="left" if name in ("column", "system", "baseline") else "right")
    table.add_column("verdict")
    previous = ""
    for row in comparison.rows:
        if previous and row.column.name != previous:
            table.add_section()
        title, *cells = row_cells(row)
        shown = title if row.column.name != previous else ""
        table.add_row(*(Text(cell) for cell in (shown, *cells)), Text(verdict_text(row), _COLORS.get(row.verdict, "")))
        previous = row.column.name
    return table


def markdown(comparison: Comparison) -> str:
    """Return a GitHub table with its notes."""
    lines = [
        f"**{escape_markdown(comparison.title)}**",
        "",
        "| " + " | ".join((*HEADER, "verdict")) + " |",
        "|---" * (len(HEADER) + 1) + "|",
    ]
    for row in comparison.rows:
        cells = (*row_cells(row), verdict_text(row))
        lines.append("| " + " | ".join(escape_markdown(cell) for cell in cells) + " |")
    lines += ["", *(f"- {escape_markdown(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def csv_text(comparison: Comparison) -> str:
    """Return one line per column and pair, unrounded and in stored units."""
    return comparison.table().to_csv(index=False)


def latex(comparison: Comparison) -> str:
    r"""Return a booktabs table (``\usepackage{booktabs}``) with its notes as comments."""
    lines = [
        "% \\usepackage{booktabs}",
        *(f"% {note}" for note in comparison.notes),
        "\\begin{table}[t]",
        "  \\centering",
        "  \\caption{" + escape_latex(comparison.title) + "}",
        "  \\begin{tabular}{llrlrrrrrrl}",
        "    \\toprule",
        "    " + " & ".join(escape_latex(name) for name in (*HEADER, "verdict")) + " \\\\",
        "    \\midrule",
    ]
    for row in comparison.rows:
        cells = (*row_cells(row), verdict_text(row))
        braced = ("{" + escape_latex(c) + "}" if c.startswith("[") else escape_latex(c) for c in cells)
        lines.append("    " + " & ".join(braced) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


FORMATS: dict[str, Callable[[Comparison], str]] = {".md": markdown, ".csv": csv_text, ".tex": latex}


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write Markdown, CSV or LaTeX, chosen by the suffix.

    Raises:
        F2VError: an unknown suffix, or a folder that does not exist.
    """
    render = FORMATS.get(path.suffix.lower())
    if render is None:
        raise F2VError(f"the format of '{path}' is not supported", f"use a suffix of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise F2VError(f"the folder '{path.parent}' does not exist", "make it, or choose another place")
    atomic_write(path, render(comparison))
