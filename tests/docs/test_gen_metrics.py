from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from f2v_bench.errors import F2VError
from f2v_bench.metrics.base import MetricOptions
from f2v_bench.metrics.stoi import STOI
from f2v_bench.registry import METRICS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.stem for path in (DOCS / "metrics").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_metrics", DOCS / "gen_metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_has_a_page_with_all_that_it_declares(generator: ModuleType, name: str) -> None:
    source = (DOCS / "metrics" / f"{name}.md").read_text(encoding="utf-8")
    page = generator.fill(name, source)
    for column in METRICS.load(name).columns:
        assert f"| `{column.name}` (" in page
        assert column.definition in page
    assert "<!-- generated" not in page
    assert "```text\n" in page or "Not available on the machine" in page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_its_equation_traps_and_golden_values(name: str) -> None:
    source = (DOCS / "metrics" / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", source, re.MULTILINE)
    assert [h for h in headings if h != "Settings"] == ["Equation", "Columns", "Signature", "Traps", "Golden values"]
    sections = re.split(r"^## .+$", source, flags=re.MULTILINE)
    assert re.search(r"\$\$\n.+?\n\$\$", sections[1], re.DOTALL)
    assert all(section.strip() for section in sections)
    assert source.count("$$") % 2 == 0
    assert source.count("\\(") == source.count("\\)")
    assert re.findall(r"<!-- generated: (\w+) -->", source) == ["columns", "signature"]


@pytest.mark.parametrize("name", METRICS.names())
def test_a_page_has_the_settings_that_the_metric_takes(name: str) -> None:
    source = (DOCS / "metrics" / f"{name}.md").read_text(encoding="utf-8")
    with pytest.raises(F2VError, match="has no setting") as refusal:
        METRICS.load(name)(MetricOptions(settings={"zzz": ""}))
    known = refusal.value.do.partition("Known: ")[2].rstrip(".")
    documented = sorted(set(re.findall(rf"`{name}\.(\w+)`", source)))
    assert ", ".join(documented) == known.replace("none", "")


def test_a_signature_is_the_metrics_own(generator: ModuleType) -> None:
    page = generator.fill("stoi", "<!-- generated: signature -->")
    assert STOI(MetricOptions()).signature in page


def test_only_metric_pages_are_filled(generator: ModuleType) -> None:
    def page(path: str) -> SimpleNamespace:
        return SimpleNamespace(file=SimpleNamespace(src_uri=path))

    marker = "<!-- generated: overview -->"
    assert "[`stoi`](stoi.md)" in generator.on_page_markdown(marker, page=page("metrics/index.md"), config=None)
    assert generator.on_page_markdown(marker, page=page("index.md")) == marker
    with pytest.raises(ValueError, match="has the marker 'more'"):
        generator.fill("stoi", "<!-- generated: more -->")


def test_the_site_names_files_that_exist() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- (\S+\.md)$", config, re.MULTILINE)
    reports = [f"reports/{path.name}" for path in (ROOT / "reports").glob("*.md")]  # published by docs/hooks.py
    assert sorted(named) == sorted([*(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")), *reports])
    assert (ROOT / "docs/gen_metrics.py").is_file()
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        for snippet in re.findall(r'--8<-- "(.+?)"', text):
            assert (ROOT / snippet).is_file(), snippet
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
            linked = (page.parent / target).resolve()
            source = ROOT / "reports" / linked.name if linked.parent == DOCS / "reports" else linked
            assert source.is_file(), f"{page.name}: {target}"


def test_api_pages_name_modules_that_exist() -> None:
    for module in re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert importlib.util.find_spec(module), module


def test_as_a_script_it_writes_every_page(generator: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    known = set(METRICS.names())
    for name in [*PAGES, "index"]:
        if name in known or name == "index":
            source = DOCS / "metrics" / f"{name}.md"
            (tmp_path / "metrics" / source.name).write_bytes(source.read_bytes())
    generator.PAGES = tmp_path / "metrics"
    generator.main(tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {*(set(PAGES) & known), "index"}
