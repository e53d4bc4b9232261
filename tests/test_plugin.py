"""Metric of another package: built, installed, found by its entry point, shown in the table."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clips import babble, write_clip

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plugin installed in it, as ``pip install --target`` leaves it."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source)  # a build leaves its traces beside the sources
    build = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    target = tmp_path_factory.mktemp("site")
    made = subprocess.run([sys.executable, "-c", build, str(source)], cwd=source, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with zipfile.ZipFile(next(source.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def f2v(site: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site)] if site else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])}
    return subprocess.run(
        [sys.executable, "-m", "f2v_bench", *arguments], env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.slow
def test_an_installed_metric_has_its_column_in_the_table(site: Path, tmp_path: Path) -> None:
    for index in range(3):
        write_clip(tmp_path / "corpus" / "s" / f"{index}.mp4", 0.8, babble(0.8, index))
    arguments = [
        *("run", "-d", "folder", "--data-root", str(tmp_path / "corpus"), "--no-faces", "-o", str(tmp_path / "run")),
        *("-m", "ground-truth", "-m", "shuffled", "--metrics", "lsd"),
    ]
    result = f2v(site, *arguments)
    assert result.returncode == 0, result.stderr
    assert "LSD dB ↓" in result.stdout
    assert "lsd:v1|frame:512" in result.stdout
    rows = list(csv.DictReader((tmp_path / "run" / "table.csv").open(newline="")))
    assert [(row["system"], row["column"], row["scored"]) for row in rows] == [
        ("ground-truth", "lsd", "3"),
        ("shuffled", "lsd", "3"),
    ]
    assert float(rows[0]["value"]) == pytest.approx(0, abs=0.01)  # the run stores 24 bits
    assert float(rows[1]["value"]) > 3


@pytest.mark.slow
def test_without_the_package_there_is_no_such_metric() -> None:
    result = f2v(None, "run", "--metrics", "lsd", "--no-faces", "--limit", "1")
    assert result.returncode == 2
    assert "there is no metric called 'lsd'" in result.stderr
