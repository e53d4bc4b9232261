"""The rules of prose in CONTRIBUTING.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("f2v_bench", "baselines", "reference_model", "experiments", "benchmarks")
#: these quote what the rules forbid
QUOTING = ("tests/test_prose.py", "CONTRIBUTING.md")
#: words that are data: the grammar of GRID's sentences and the names of published files
DATA = re.compile(r"[\"'`](?:colour|COLOUR|licence|grey|centres?|normaliser)[\"'`]")
OPENING = re.compile(r"(What|Who|Whose|Whom|How|Where|Whether|Which|When|Why)\b")
BRITISH = re.compile(
    r"\b\w*(?:normalis|optimis|recognis|standardis|initialis|regularis|quantis|organis|synthesis(?:e|ed|er|ing)\b"
    r"|colour|licence|centre|\bgrey|behaviour|favour|neighbour|metre\b|modelling|labelled|labelling|cancelled)\w*",
    re.IGNORECASE,
)
PEOPLE = re.compile(
    r"\b(?:network|model|decoder|encoder|tensor|vocoder|metric|system|file|weights|layer|autoencoder|discriminator"
    r"|recognizer|table|folder|corpus|clip|mel|batch|loss|embedding|kernel|frame)s?"
    r" (?:says?|said|hears?|heard|sees?|knows?|knew|tells?|told|speaks?|spoke|listens?|looks)\b"
    r"|\b(?:is|are|was|were|be|been|being) (?:told|taught)\b",
    re.IGNORECASE,
)
ARGUMENT = re.compile(
    r"^\s+\*{0,2}[a-z_][\w, *]*: (?:of|is|are|that|which|what|who|how|where|whether|from|to|for|in)\b"
)


def tracked(*suffixes: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    return [ROOT / name for name in names if name.endswith(suffixes) and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    found = []
    for path in tracked(*suffixes):
        name = path.relative_to(ROOT).as_posix()
        if name in QUOTING or name.startswith("tests/golden/"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith(">") and pattern.search(DATA.sub("", line)):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def docstrings() -> Iterator[tuple[str, str]]:
    for path in tracked(".py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(PACKAGES):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = ast.get_docstring(node)
                    if text:
                        yield f"{name}:{getattr(node, 'lineno', 1)}", text


@pytest.fixture(autouse=True)
def _in_a_checkout() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: the list of files is git's")


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    found = [f"{place}: {text.splitlines()[0]}" for place, text in docstrings() if OPENING.match(text)]
    assert not found, f"{len(found)} docstrings:\n" + "\n".join(found[:40])


def test_arguments_start_with_a_noun() -> None:
    found = [
        f"{place}: {line.strip()}" for place, text in docstrings() for line in text.splitlines() if ARGUMENT.match(line)
    ]
    assert not found, f"{len(found)} arguments:\n" + "\n".join(found[:40])


def test_american_spelling() -> None:
    found = lines_with(BRITISH, ".py", ".md", ".toml", ".yml", ".yaml", ".cff")
    assert not found, f"{len(found)} lines:\n" + "\n".join(found[:60])


def test_tensors_and_networks_are_no_people() -> None:
    found = lines_with(PEOPLE, ".py", ".md")
    assert not found, f"{len(found)} lines:\n" + "\n".join(found[:60])
