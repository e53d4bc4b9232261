from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from f2v_bench.errors import FailureKind
from f2v_bench.utils.subprocess import run_process


def run(tmp_path: Path, code: str, timeout_s: float = 60.0, **env: str) -> tuple[str, str] | None:
    command = [sys.executable, "-c", code]
    failure = run_process(command, cwd=tmp_path, env=env, log=tmp_path / "logs/log.txt", timeout_s=timeout_s)
    return None if failure is None else (failure.kind, failure.detail)


def test_success_leaves_the_output_in_the_log(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; print(os.environ['WORD'], os.getcwd())", WORD="seven") is None
    assert run(tmp_path, "import sys; print('more', file=sys.stderr)") is None
    assert (tmp_path / "logs/log.txt").read_text() == f"seven {tmp_path}\nmore\n"


def test_a_failure_names_the_last_line_of_its_own_output(tmp_path: Path) -> None:
    assert run(tmp_path, "print('an earlier command')") is None
    bar = "import sys; sys.stdout.write('1/3\\r2/3\\r'); sys.stdout.flush(); sys.exit('CUDA out of memory')"
    assert run(tmp_path, bar) == (FailureKind.PROCESS_FAILED, "exit code 1; last line: CUDA out of memory")
    assert run(tmp_path, "import sys; sys.exit(3)") == (FailureKind.PROCESS_FAILED, "exit code 3; last line: none")


def test_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    failure = run_process(["no-such-program"], cwd=tmp_path, env={}, log=tmp_path / "log.txt", timeout_s=1.0)
    assert failure is not None
    assert (failure.kind, "cannot be started" in failure.detail) == (FailureKind.PROCESS_FAILED, True)


def test_children_are_killed_with_a_process_that_times_out(tmp_path: Path) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    found = run(tmp_path, code, timeout_s=3.0)
    assert found is not None
    assert found[0] == FailureKind.TIMEOUT
    assert "did not end within 3 s" in found[1]
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the child outlived the process")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie has ended
