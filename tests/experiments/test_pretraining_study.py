"""``experiments.pretraining_study``: its report on runs with synthetic scores, and its commands."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

from baselines.v2a.config import MEL_TINY
from experiments import pretraining_study
from f2v_bench.config import with_overrides
from reference_model.config import TINY
from tests.experiments.test_ablate import SECS
from tests.reporting.made_runs import WER, clip_ids, make_run

CLIPS = clip_ids(24, speakers=12)


def args(work: Path, **changes: Any) -> argparse.Namespace:
    named = {
        "work": work, "base": work / "base", "dataset": "demo", "data_root": work / "demo", "preset": "tiny",
        "model": "v2a-mel", "steps": 300, "audio_steps": 1000, "audio": None, "seeds": 2,
        "norms_in": "joint", "set": ["seed=1"],
    }  # fmt: skip
    return argparse.Namespace(**named | changes)


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of the report's rows by their first cell."""
    rows = {}
    for line in text.splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = cells
    return rows


@pytest.fixture
def report(tmp_path: Path) -> str:
    """Return a report in which pre-training halves WER, and separate statistics improve SECS."""
    spread = {clip: 0.01 * (at % 3) for at, clip in enumerate(CLIPS)}
    scores = {}
    for seed, shift in ((0, 0.0), (1, 0.02)):
        scratch = {clip: 0.40 + shift + spread[clip] for clip in CLIPS}
        voice = {clip: 0.7 - spread[clip] for clip in CLIPS}
        better = {clip: x + 0.1 for clip, x in voice.items()}
        half = {clip: x / 2 for clip, x in scratch.items()}
        scores[f"scratch-s{seed}"] = {"wer": scratch, "secs": voice}
        scores[f"init-s{seed}"] = {"wer": half, "secs": voice}
        for variant in pretraining_study.FORMS:
            scores[f"{variant}-s{seed}"] = {
                "wer": half,
                "secs": voice if variant == pretraining_study.SHARED else better,
            }
        for at, name in enumerate((pretraining_study.SCRATCH, pretraining_study.INIT, *pretraining_study.FORMS)):
            with SummaryWriter(tmp_path / f"{name}-s{seed}" / "main" / "tensorboard") as log:
                for step in (149, 299):
                    log.add_scalar("val/mel", 1 + at + seed - step / 1000, step)
    run = make_run(tmp_path / "run", scores, CLIPS, columns=(WER, SECS))
    return str(pretraining_study.report(args(tmp_path), run.path))


def test_significant_improvements_are_bold(report: str) -> None:
    rows = rows_of(report.partition("Learning curves")[0])
    assert rows["scratch"] == ["42.0 ± 1.4", "0.690 ± 0.000"]
    assert rows["joint, separate-stats+affine"] == ["21.0 ± 0.7", "0.790 ± 0.000"]
    wer, secs = rows["init - scratch"]
    assert wer.startswith("**-21.0 [")
    assert secs.startswith("+0.000")
    wer, secs = rows["joint, separate-stats - shared"]
    assert wer.startswith("+0.0")
    assert secs.startswith("**+0.100")
    assert "Holm over 12 tests" in report


def test_learning_curves_are_means_over_seeds(report: str) -> None:
    rows = rows_of(report.partition("Learning curves")[2])
    assert rows["steps"] == ["150", "300"]
    assert rows["init"] == ["2.351 ± 0.707", "2.201 ± 0.707"]


def test_the_report_names_the_audio(tmp_path: Path, report: str) -> None:
    assert "1,000 steps on the audio of the same training clips,\nthen 300 steps on video each" in report
    assert "No number of the paper is reproduced" in report


def test_commands_differ_only_in_the_compared_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting exists in the model, and the trainings of a seed share their decoder."""
    calls: list[list[str]] = []
    monkeypatch.setattr(pretraining_study, "call", lambda *words: calls.append([str(word) for word in words]))
    wanted = args(tmp_path, set=["frontend.kind=frozen"], audio=tmp_path / "speech")
    decoder = pretraining_study.pretrain(wanted, 1)
    for variant in pretraining_study.study(wanted).variants:
        pretraining_study.train(wanted, variant, 1)
    configs = [with_overrides(MEL_TINY, [text for word, text in pairwise(one) if word == "--set"]) for one in calls]
    assert calls[0][calls[0].index("--stage") + 1] == "audio"
    assert not any("--stage" in one for one in calls[1:])
    assert configs[0].pretraining.folder == str(tmp_path / "speech")
    assert [one.transfer.mode for one in configs[1:]] == ["scratch", "init", "joint", "joint", "joint"]
    assert [one.domain_norm for one in configs[3:]] == ["shared", "separate-stats", "separate-stats+affine"]
    assert {one.pretraining.decoder for one in configs[2:]} == {str(decoder)}
    assert {one.pretraining.folder for one in configs[2:]} == {str(tmp_path / "speech")}
    assert {one.main_stage.steps for one in configs} == {300}
    assert all(one[one.index("--seed") + 1] == "1" for one in calls)


def test_ours_has_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(pretraining_study, "call", lambda *words: calls.append([str(word) for word in words]))
    wanted = args(tmp_path, model="ours", set=["flow.steps=2"])
    pretraining_study.pretrain(wanted, 0)
    for variant in pretraining_study.study(wanted).variants:
        pretraining_study.train(wanted, variant, 0)
    configs = [with_overrides(TINY, [text for word, text in pairwise(one) if word == "--set"]) for one in calls]
    assert [one.transfer for one in configs] == ["init", "scratch", "init"]
    assert [bool(one.pretraining.decoder) for one in configs] == [False, False, True]


def test_finished_trainings_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_study, "call", lambda *_: pytest.fail("training was repeated"))
    for name in ("audio-s0/audio-decoder.safetensors", "scratch-s0/weights.safetensors"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert pretraining_study.pretrain(args(tmp_path), 0) == tmp_path / "audio-s0" / "audio-decoder.safetensors"
    assert pretraining_study.train(args(tmp_path), "scratch", 0) == tmp_path / "scratch-s0" / "weights.safetensors"
