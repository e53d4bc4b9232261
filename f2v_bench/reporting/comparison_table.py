"""A comparison in the terminal, and as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError
from f2v_bench.reporting.comparison import Comparison, Line
from f2v_bench.reporting.table import MISSING, escape_latex, escape_markdown
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("column", "system", "value", "baseline", "value", "difference", "95 % interval", "p", "p Holm", "n")
_COLOURS = {"better": "green", "worse": "red"}


def line_cells(line: Line) -> list[str]:
    """One line as text, without its verdict."""
    heading, found = line.heading, line.difference
    if found is None:
        return [heading.title, line.system, MISSING, line.baseline, MISSING, MISSING, "", "", "", ""]
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f"[{_signed(found.low, line)}, {_signed(found.high, line)}]"
    count = f"{found.clips}" if found.units == "clips" else f"{found.clips} ({found.count} {found.units})"
    return [
        heading.title,
        line.system,
        heading.number(found.ours),
        line.baseline,
        heading.number(found.theirs),
        _signed(found.value, line),
        interval,
        p_text(found.p),
        p_text(line.p_holm),
        count,
    ]


def _signed(value: float, line: Line) -> str:
    text = line.heading.number(value)
    return f"+{text}" if value > 0 else text


def p_text(p: float | None) -> str:
    """A p-value to two significant digits."""
    return "" if p is None else f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}"


def verdict_text(line: Line) -> str:
    """The verdict, with its reason where there is one."""
    return f"{line.verdict}: {line.why}" if line.why else line.verdict


def terminal_comparison(comparison: Comparison) -> Table:
    """For the terminal: one section a column."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=comparison.title, title_justify="left", header_style="bold")
    for name in HEADINGS:
        table.add_column(name, justify="left" if name in ("column", "system", "baseline") else "right")
    table.add_column("verdict")
    before = ""
    for line in comparison.lines:
        if before and line.heading.name != before:
            table.add_section()
        title, *cells = line_cells(line)
        shown = title if line.heading.name != before else ""
        table.add_row(
            *(Text(cell) for cell in (shown, *cells)), Text(verdict_text(line), _COLOURS.get(line.verdict, ""))
        )
        before = line.heading.name
    return table


def markdown(comparison: Comparison) -> str:
    """A GitHub table with its notes."""
    lines = [
        f"**{escape_markdown(comparison.title)}**",
        "",
        "| " + " | ".join((*HEADINGS, "verdict")) + " |",
        "|---" * (len(HEADINGS) + 1) + "|",
    ]
    for line in comparison.lines:
        cells = (*line_cells(line), verdict_text(line))
        lines.append("| " + " | ".join(escape_markdown(cell) for cell in cells) + " |")
    lines += ["", *(f"- {escape_markdown(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def csv_text(comparison: Comparison) -> str:
    """One line a column and pair, unrounded, in the column's own unit (ratios are not turned into per cent)."""
    import pandas as pd

    rows = []
    for line in comparison.lines:
        found = line.difference
        rows.append(
            {
                "list": comparison.title,
                "column": line.heading.name,
                "unit": "ratio" if line.heading.unit == "%" else line.heading.unit,
                "system": line.system,
                "baseline": line.baseline,
                "value": found.ours if found else None,
                "baseline_value": found.theirs if found else None,
                "difference": found.value if found else None,
                "low": found.low if found else None,
                "high": found.high if found else None,
                "p": found.p if found else None,
                "p_holm": line.p_holm,
                "clips": found.clips if found else 0,
                "units": found.count if found else 0,
                "resampled": found.units if found else "",
                "verdict": line.verdict,
                "why": line.why,
                "signature": line.heading.signature if found else "",
            }
        )
    return pd.DataFrame(rows).to_csv(index=False)


def latex(comparison: Comparison) -> str:
    r"""A booktabs table (``\usepackage{booktabs}``) with its notes as comments."""
    lines = [
        "% \\usepackage{booktabs}",
        *(f"% {note}" for note in comparison.notes),
        "\\begin{table}[t]",
        "  \\centering",
        "  \\caption{" + escape_latex(comparison.title) + "}",
        "  \\begin{tabular}{llrlrrrrrrl}",
        "    \\toprule",
        "    " + " & ".join(escape_latex(name) for name in (*HEADINGS, "verdict")) + " \\\\",
        "    \\midrule",
    ]
    for line in comparison.lines:
        cells = (*line_cells(line), verdict_text(line))
        braced = ("{" + escape_latex(c) + "}" if c.startswith("[") else escape_latex(c) for c in cells)
        lines.append("    " + " & ".join(braced) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


FORMATS: dict[str, Callable[[Comparison], str]] = {".md": markdown, ".csv": csv_text, ".tex": latex}


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write Markdown, CSV or LaTeX, as the file's suffix says.

    Raises:
        F2VError: another suffix, or a folder that does not exist.
    """
    render = FORMATS.get(path.suffix.lower())
    if render is None:
        raise F2VError(f"'{path}' is of no kind that compare writes", f"end it in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise F2VError(f"the folder '{path.parent}' does not exist", "make it, or choose another place")
    atomic_write(path, render(comparison))
