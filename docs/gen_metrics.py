"""Fill the pages under ``docs/metrics`` with what the metric classes declare, so that the two cannot drift.

A hook of mkdocs; as a script it writes the filled pages to a folder: ``python docs/gen_metrics.py OUT``. A page asks
for a part with a comment on a line of its own: ``<!-- generated: columns -->``, ``signature`` or ``overview``.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable
from f2v_bench.registry import METRICS

PAGES = Path(__file__).parent / "metrics"
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: "neither end"}
_GRAMMAR = "#JSGF V1.0; grammar any; public <any> = yes | no;"  # any: a recogniser without weights wants one


def columns_table(kind: type[Metric]) -> str:
    """What a metric declares: its needs, and a row a column."""
    needs = " and ".join(sorted(kind.needs)) or "nothing"
    facts = f"Compares with: {needs}. Sample rate: {kind.sample_rate} Hz."
    if not kind.deterministic:
        facts += " Not deterministic."
    lines = [facts, "", "| column | unit | range | direction | aggregate | shown | definition |", "|---" * 7 + "|"]
    return "\n".join([*lines, *(_row(column) for column in kind.columns)])


def _row(column: Column) -> str:
    bounds = f"{_number(column.lower * column.scale)} to {_number(column.upper * column.scale)}"
    shown = "always" if column.headline else "`--all-columns`"
    cells = (
        f"`{column.name}` ({column.label})",
        column.unit or "–",
        bounds,
        _DIRECTIONS[column.higher_is_better],
        column.aggregate.value,
        shown,
        column.definition,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float) -> str:
    return ("" if value > 0 else "-") + "∞" if math.isinf(value) else f"{value:g}"


def signature_block(kind: Callable[[MetricOptions], Metric]) -> str:
    """The signature under default settings, or why there is none here."""
    try:
        return f"Under default settings:\n\n```text\n{kind(MetricOptions(grammar=_GRAMMAR)).signature}\n```"
    except MetricUnavailable as gone:
        return f"Not available where this page was made: {gone.why}."


def overview() -> str:
    """A row for every registered metric."""
    lines = ["| metric | columns | compares with |", "|---|---|---|"]
    for name in METRICS.names():
        kind: type[Metric] = METRICS.load(name)
        labels = ", ".join(column.label for column in kind.columns if column.headline)
        lines.append(f"| [`{name}`]({name}.md) | {labels} | {' and '.join(sorted(kind.needs)) or 'nothing'} |")
    return "\n".join(lines)


def filled(name: str, text: str) -> str:
    """The page of a metric (or ``index``) with its markers replaced.

    Raises:
        ValueError: a marker that asks for something unknown.
    """

    def part(found: re.Match[str]) -> str:
        wanted = found.group(1)
        if wanted == "overview":
            return overview()
        if wanted == "columns":
            return columns_table(METRICS.load(name))
        if wanted == "signature":
            return signature_block(METRICS.load(name))
        raise ValueError(f"docs/metrics/{name}.md asks for '{wanted}': known are columns, signature and overview")

    return _MARKER.sub(part, text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs for every page."""
    path = Path(page.file.src_uri)
    return filled(path.stem, markdown) if path.parent.name == PAGES.name else markdown


def main(out: Path) -> None:
    """Write every filled page to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for source in sorted(PAGES.glob("*.md")):
        (out / source.name).write_text(filled(source.stem, source.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
