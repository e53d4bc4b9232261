"""Hooks of the documentation: links between docs and reports."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "[r](../reports/README.md)", "[r](reports/README.md)"),
        ("baselines/svts.md", "[r](../../reports/README.md#limits)", "[r](../reports/README.md#limits)"),
        ("reports/README.md", "[d](../docs/baselines/svts.md)", "[d](../baselines/svts.md)"),
        ("reports/README.md", "[t](demo-tiny-test.md)", "[t](demo-tiny-test.md)"),
        ("extending.md", "[c](../CONTRIBUTING.md#tests)", "c (`CONTRIBUTING.md`)"),
        ("index.md", "[broken](nothing.md) [web](https://example.org) [here](#anchor)", None),
    ],
)
def test_links_stay_valid_within_the_site(hooks: ModuleType, page: str, link: str, expected: str | None) -> None:
    assert hooks.resolve_links(f"text {link} text", page) == f"text {expected or link} text"


def test_pages_load_nothing_from_elsewhere() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    assert "extra_javascript" not in config
    assert "font: false" in config


def test_includes_survive_the_formatter() -> None:
    """Ruff formats code blocks that start with the fence of a language, and breaks the mark of an include."""
    page = (ROOT / "docs" / "extending.md").read_text()
    assert page.count('--8<-- "') == 3
    assert "--8 <" not in page
