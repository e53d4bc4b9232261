"""Scoring ten times as many clips takes no more memory: whole runs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.clips import RATE, babble

MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "f2v_bench", *sys.argv[1:]], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)  # KiB, of the largest process
"""


def peak_mib(clips: int, folder: Path) -> float:
    """Largest resident size of any process of a run over so many clips of one second."""
    wavs = folder / f"{clips}"
    wavs.mkdir()
    for index in range(clips):
        soundfile.write(wavs / f"{index}.wav", babble(1.0, index % 50), RATE)
    words = ["run", "-d", "folder", "--data-root", str(wavs), "--no-faces", "--no-cache", "-m", "ground-truth"]
    words += ["--metrics", "stoi,health,energy_rmse", "--workers", "2", "-o", str(folder / f"run{clips}")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "F2V_CACHE": str(folder / "cache")},
    )
    return int(done.stdout) / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_peak_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    few, many = peak_mib(100, tmp_path), peak_mib(1000, tmp_path)
    assert many < few + 40, f"{few:.0f} MiB for 100 clips, {many:.0f} MiB for 1,000"
