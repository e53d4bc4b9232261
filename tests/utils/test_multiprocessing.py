from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = "import os; from f2v_bench.utils.multiprocessing import setup_numba_cache; setup_numba_cache(); "


def start(cache: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SETUP + code],
        env={**os.environ, "F2V_CACHE": str(cache)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_running_processes_never_share_a_numba_cache_and_a_free_one_is_reused(tmp_path: Path) -> None:
    report = "print(os.environ['NUMBA_CACHE_DIR'], flush=True); input()"
    first, second = start(tmp_path, report), start(tmp_path, report)
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
def test_processes_can_compile_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from f2v_bench.signal.f0 import f0_contour; "
        "print(round(float(np.median(f0_contour(np.sin(np.arange(8000) / 20).astype('f4'), 16000)[0]))))"
    )
    processes = [start(tmp_path, code) for _ in range(3)]
    assert {process.communicate()[0].strip() for process in processes} == {"128"}
    again, _ = start(tmp_path, code).communicate()
    assert again.strip() == "128"
