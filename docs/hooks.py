"""Hooks of mkdocs: formulas as MathML, and the reports of the repository as pages.

MathML needs neither a script nor a font from elsewhere, so that the pages work without a network.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_MATH = re.compile(r'<(span|div) class="arithmatex">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>', re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add ``reports/*.md`` of the repository to the pages."""
    from mkdocs.structure.files import File

    for path in sorted((ROOT / "reports").glob("*.md")):
        files.append(File.generated(config, f"reports/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Resolve links between ``docs/`` and ``reports/``; name other files of the repository by their path."""
    return resolve_links(markdown, page.file.src_uri)


def resolve_links(markdown: str, page: str) -> str:
    """Return the text of a page with links that are valid within the site.

    Args:
        markdown: text of the page, with links relative to its place in the repository.
        page: address of the page within the site, such as ``reports/README.md``.
    """
    source = page if page.startswith("reports/") else f"docs/{page}"

    def replace(match: re.Match[str]) -> str:
        text, link, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if not (ROOT / target).exists():
            return match[0]  # mkdocs reports broken links itself
        if not target.startswith(("docs/", "reports/")):
            return f"{text} (`{target}`)"
        address = posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(page) or ".")
        return f"[{text}]({address}{anchor})"

    return _LINK.sub(replace, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Replace the formulas of a page by MathML."""
    return to_mathml(content)


def to_mathml(content: str) -> str:
    r"""Convert ``\(...\)`` and ``\[...\]`` that arithmatex marks in a page to MathML.

    Args:
        content: HTML of the page.
    """
    from latex2mathml.converter import convert

    def replace(match: re.Match[str]) -> str:
        latex = html.unescape(match[2] if match[2] is not None else match[3])
        return convert(latex, display="inline" if match[2] is not None else "block")

    return _MATH.sub(replace, content)
