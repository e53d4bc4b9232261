"""Runs killed with SIGKILL at different moments and resumed give the scores of an uninterrupted run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from f2v_bench.scoring.pool import WORKER_BATCH
from tests.clips import babble, write_clip

CLIPS = 20
METRICS = ("stoi", "pesq")


def command(root: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "f2v_bench", "run", "-d", "folder", "--data-root", str(root)),
        *("--no-faces", "--no-cache"),
        *("-m", "ground-truth", "-m", "shuffled", "--metrics", ",".join(METRICS), "-o", str(out)),
    ]


def lines(out: Path, kind: str) -> list[dict[str, object]]:
    """Return the complete records in the shards."""
    found = []
    for shard in (out / "shards").glob(f"{kind}-*.jsonl"):
        for line in shard.read_text().split("\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def kill_when(root: Path, out: Path, kind: str, count: int) -> None:
    """Start the run and kill it once its shards have ``count`` records."""
    process = subprocess.Popen(
        command(root, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 600
    while len(lines(out, kind)) < count:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_three_times_and_resumed(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    for index in range(CLIPS):
        write_clip(root / f"s{index % 3}" / f"{index}.mp4", 1.0, babble(1.0, index), f"text {index}")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(root, whole), check=True, capture_output=True)

    kill_when(root, cut, "audio", 3)
    kill_when(root, cut, "audio", CLIPS + 5)
    kill_when(root, cut, "scores", 2 * WORKER_BATCH)
    done = subprocess.run(command(root, cut), capture_output=True, text=True, check=True)
    assert "done already" in done.stderr

    for table in ("scores", "clips"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(cut / f"{table}.parquet"), pd.read_parquet(whole / f"{table}.parquet")
        )
    timeless = ["system", "clip", "status", "fingerprint", "sha256", "sample_rate", "duration_s", "clipped"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(cut / "audio.parquet")[timeless], pd.read_parquet(whole / "audio.parquet")[timeless]
    )
    # no stored record was computed again
    assert set(Counter((row["system"], row["clip"]) for row in lines(cut, "audio")).values()) == {1}
    assert set(Counter((row["system"], row["clip"], row["column"]) for row in lines(cut, "scores")).values()) == {1}
