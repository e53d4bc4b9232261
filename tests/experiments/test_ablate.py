"""Report of ``experiments.ablate``, on runs with synthetic scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments import ablate
from f2v_bench.metrics.base import Column
from tests.reporting.made_runs import WER, clip_ids, make_run

SECS = Column("secs", "SECS", "", True, -1, 1, "cosine", digits=3)
CLIPS = clip_ids(24, speakers=12)


def lines_of(folder: Path) -> dict[str, list[list[str]]]:
    """Return the cells of the report's rows by their first cell: values, then differences."""
    spread = {clip: 0.01 * (at % 3) for at, clip in enumerate(CLIPS)}
    scores = {}
    for seed, shift in ((0, 0.0), (1, 0.02)):
        whole = {clip: 0.10 + shift + spread[clip] for clip in CLIPS}
        voice = {clip: 0.9 - spread[clip] for clip in CLIPS}
        scores[f"whole-s{seed}"] = {"wer": whole, "secs": voice}
        scores[f"no-hierarchy-s{seed}"] = {"wer": {clip: 0.5 + x for clip, x in whole.items()}, "secs": voice}
        scores[f"no-timbre-s{seed}"] = {"wer": whole, "secs": {clip: x - 0.2 for clip, x in voice.items()}}
        scores[f"no-prosody-s{seed}"] = {"wer": whole, "secs": {clip: voice[clip] for clip in CLIPS[1:]}}
    run = make_run(folder, scores, CLIPS, columns=(WER, SECS))
    text = ablate.report(argparse.Namespace(seeds=2, steps=350), run.path)
    rows: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows.setdefault(name, []).append(cells)
    assert "350 steps" in text
    assert "paired BCa interval over\nspeakers" in text
    assert "Holm over 6 tests" in text
    assert "* secs: `secs:v1|model:a`" in text
    return rows


def test_seeds_are_averaged_and_missing_clips_are_counted(tmp_path: Path) -> None:
    """One seed has 10, 11 and 12 % in turn, the other 2 points more: mean 12 %, standard deviation 1.4."""
    rows = lines_of(tmp_path / "run")
    assert rows["whole model"] == [["12.0 ± 1.4", "0.890 ± 0.000"]]
    assert rows["without prosody"][0] == ["12.0 ± 1.4", "0.890 ± 0.000 (46/48)"]
    assert rows["without timbre"][0][1] == "0.690 ± 0.000"


def test_only_significant_losses_are_bold(tmp_path: Path) -> None:
    rows = lines_of(tmp_path / "run")
    wer, secs = rows["without hierarchy"][1]
    assert wer.startswith("**+50.0 [50.0, 50.0], p 0.0")
    assert secs.startswith("+0.000")
    wer, secs = rows["without timbre"][1]
    assert secs.startswith("**-0.200 [-0.200, -0.200], p 0.0")
    assert not any("**" in cell for cell in [wer, *rows["without prosody"][1]])
