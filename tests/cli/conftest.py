from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from f2v_bench.cli.main import main


@dataclass(frozen=True)
class Output:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def f2v(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Output]:
    """Run ``f2v-bench`` in this process, in an empty folder, with empty caches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path / ".assets"))
    monkeypatch.delenv("F2V_DATA", raising=False)

    def call(*words: object) -> Output:
        monkeypatch.setattr(sys, "argv", ["f2v-bench", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        output = capsys.readouterr()
        assert "Traceback" not in output.out + output.err
        return Output(int(stop.value.code or 0), output.out, output.err)

    return call
