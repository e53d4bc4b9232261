from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLAIM = "import os; from f2v_bench.utils.multiprocessing import claim_compile_cache; claim_compile_cache(); "


def start(cache: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM + code],
        env={**os.environ, "F2V_CACHE": str(cache)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_living_processes_never_share_a_compile_cache_and_dead_ones_leave_theirs(tmp_path: Path) -> None:
    tell = "print(os.environ['NUMBA_CACHE_DIR'], flush=True); input()"
    first, second = start(tmp_path, tell), start(tmp_path, tell)
    assert first.stdout is not None
    assert second.stdout is not None
    folders = {first.stdout.readline().strip(), second.stdout.readline().strip()}
    assert folders == {str(tmp_path / "numba" / "0"), str(tmp_path / "numba" / "1")}
    first.kill()
    second.kill()
    first.wait()
    second.wait()
    third, _ = start(tmp_path, "print(os.environ['NUMBA_CACHE_DIR'])").communicate()
    assert third.strip() == str(tmp_path / "numba" / "0")


@pytest.mark.slow
def test_processes_that_compile_at_the_same_time_all_work(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from f2v_bench.signal.f0 import f0_contour; "
        "print(round(float(np.median(f0_contour(np.sin(np.arange(8000) / 20).astype('f4'), 16000)[0]))))"
    )
    processes = [start(tmp_path, code) for _ in range(3)]
    assert {process.communicate()[0].strip() for process in processes} == {"128"}
    again, _ = start(tmp_path, code).communicate()
    assert again.strip() == "128"
