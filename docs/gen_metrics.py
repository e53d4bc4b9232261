"""Insert the declarations of the metric classes into the pages under ``docs/metrics``.

A hook of mkdocs; as a script it writes the filled pages to a folder: ``python docs/gen_metrics.py OUT``. A page has
a marker per part, a comment on its own line: ``<!-- generated: columns -->``, ``signature`` or ``overview``.
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
_GRAMMAR = "#JSGF V1.0; grammar any; public <any> = yes | no;"  # any: the recognizer without weights needs one


def columns_table(kind: type[Metric]) -> str:
    """Return the needs of a metric and a table with a row per column."""
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
    """Return the signature under default settings, or the reason why there is none on this machine."""
    try:
        return f"Under default settings:\n\n```text\n{kind(MetricOptions(grammar=_GRAMMAR)).signature}\n```"
    except MetricUnavailable as error:
        return f"Not available on the machine that built this page: {error.why}."


def overview() -> str:
    """Return a table with a row per registered metric."""
    lines = ["| metric | columns | compares with |", "|---|---|---|"]
    for name in METRICS.names():
        kind: type[Metric] = METRICS.load(name)
        labels = ", ".join(column.label for column in kind.columns if column.headline)
        lines.append(f"| [`{name}`]({name}.md) | {labels} | {' and '.join(sorted(kind.needs)) or 'nothing'} |")
    return "\n".join(lines)


def fill(name: str, text: str) -> str:
    """Return the page of a metric (or ``index``) with its markers replaced.

    Args:
        name: name of the metric, or ``index``.
        text: Markdown source of the page.

    Raises:
        ValueError: an unknown marker.
    """

    def replacement(match: re.Match[str]) -> str:
        part = match.group(1)
        if part == "overview":
            return overview()
        if part == "columns":
            return columns_table(METRICS.load(name))
        if part == "signature":
            return signature_block(METRICS.load(name))
        raise ValueError(f"docs/metrics/{name}.md has the marker '{part}': known are columns, signature and overview")

    return _MARKER.sub(replacement, text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill a page; mkdocs calls this for every page."""
    path = Path(page.file.src_uri)
    return fill(path.stem, markdown) if path.parent.name == PAGES.name else markdown


def main(out: Path) -> None:
    """Write every filled page to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for source in sorted(PAGES.glob("*.md")):
        (out / source.name).write_text(fill(source.stem, source.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
