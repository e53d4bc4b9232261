from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import f2v_bench
from f2v_bench import api
from f2v_bench.errors import F2VError
from f2v_bench.metrics.stoi import STOI
from f2v_bench.systems.base import SystemOptions
from f2v_bench.systems.ground_truth import GroundTruth
from tests.clips import RATE, babble
from tests.runs.toys import RecordedProgress

METRICS = ["stoi", "mel_distance"]


@pytest.fixture(scope="module")
def progress() -> RecordedProgress:
    return RecordedProgress()


@pytest.fixture(scope="module")
def result(progress: RecordedProgress) -> api.Result:
    return f2v_bench.evaluate(
        ["ground-truth", "floor=shuffled"], "demo", METRICS, limit=2, faces=False, workers=1, progress=progress
    )


def test_import_is_lazy() -> None:
    code = """
import sys
import f2v_bench
assert {"evaluate", "score", "compare", "load_system", "load_metric", "load_dataset"} <= set(dir(f2v_bench))
assert f2v_bench.__version__.count(".") == 2
heavy = {"torch", "matplotlib", "pandas", "numpy", "cv2"} & set(sys.modules)
assert not heavy, heavy
assert callable(f2v_bench.evaluate)
heavy = {"torch", "matplotlib", "pandas", "cv2"} & set(sys.modules)
assert not heavy, heavy
try:
    f2v_bench.evalute
except AttributeError as error:
    assert "evalute" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_has_systems_as_rows(result: api.Result) -> None:
    table = result.table()
    assert table.index.tolist() == ["ground-truth", "floor"]
    assert table.loc["ground-truth", "STOI ↑"].endswith("(2/2)")
    assert result.table(["estoi"]).columns.tolist() == ["ESTOI ↑"]
    with pytest.raises(F2VError, match="no run has a column 'stoj'"):
        result.table(["stoj"])


def test_numbers_are_available_unrounded(result: api.Result) -> None:
    scores = result.scores
    assert set(scores["system"]) == {"ground-truth", "floor"}
    assert len(scores) == 4 * scores["column"].nunique()
    floor = scores[(scores["system"] == "floor") & (scores["column"] == "stoi")]["value"]
    estimates = result.estimates().set_index(["system", "column"])
    assert estimates.loc[("floor", "stoi"), "value"] == pytest.approx(floor.mean())
    assert estimates.loc[("ground-truth", "stoi"), "value"] == pytest.approx(1.0)


def test_progress_is_reported(result: api.Result, progress: RecordedProgress) -> None:
    assert ("stoi", 4, 0) in progress.stages
    assert progress.done == 2 * 2 + 2 * 4


def test_a_run_without_failures_has_an_empty_frame(result: api.Result) -> None:
    assert result.failures.columns.tolist() == ["kind", "system", "clip", "column", "detail"]
    assert result.failures.empty


def test_texts(result: api.Result) -> None:
    assert "demo/test: first 2 of" in repr(result)
    assert str(result.path) in repr(result)
    html = result._repr_html_()
    assert html.count("<tr>") == 3
    assert "ground-truth" in html


def test_html_is_escaped(tmp_path: Path) -> None:
    from tests.reporting.made_runs import WER, clip_ids, make_run

    clips = clip_ids(3)
    made = make_run(tmp_path / "run", {"<script>": {"wer": dict.fromkeys(clips, 0.5)}}, clips, columns=[WER])
    html = api.Result(made.path)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_save_copies_the_run_folder(result: api.Result, tmp_path: Path) -> None:
    path = result.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(api.Result(path).scores, result.scores)
    assert (path / "audio/floor").is_dir()
    with pytest.raises(F2VError, match="already exists"):
        result.save(path)
    resumed = f2v_bench.evaluate(
        ["ground-truth", "floor=shuffled"], "demo", METRICS, limit=2, faces=False, workers=1, out=path
    )
    pd.testing.assert_frame_equal(resumed.scores, result.scores)


def test_a_temporary_run_folder_is_deleted_with_its_result() -> None:
    made = f2v_bench.evaluate(["ground-truth"], "demo", ["stoi"], limit=1, faces=False, workers=1)
    path = made.path
    assert path.is_dir()
    del made
    assert not path.exists()


def test_systems_and_metrics_may_be_objects(result: api.Result) -> None:
    dataset = f2v_bench.load_dataset("demo")
    made = f2v_bench.evaluate(
        [GroundTruth(SystemOptions()), "floor=shuffled"], dataset, [STOI(), "mel_distance"], limit=2, faces=False,
        workers=1,
    )  # fmt: skip
    pd.testing.assert_frame_equal(made.scores, result.scores)


def test_settings_of_unknown_names_are_refused() -> None:
    with pytest.raises(F2VError, match="there is no metric or model 'stoj' in this run"):
        f2v_bench.evaluate(["ground-truth"], "demo", ["stoi"], settings={"stoj": {"x": 1}})


def test_score_compares_a_folder_with_the_real_speech(tmp_path: Path) -> None:
    dataset = f2v_bench.load_dataset("demo")
    clip, *_ = dataset.clips()
    (tmp_path / "my wavs" / clip.id).parent.mkdir(parents=True)
    soundfile.write(tmp_path / "my wavs" / f"{clip.id}.wav", babble(3.0), RATE)
    messages: list[str] = []
    made = f2v_bench.score(tmp_path / "my wavs", dataset, ["stoi"], limit=2, workers=1, log=messages.append)
    assert made.table().index.tolist() == ["ground-truth", "my_wavs"]
    assert set(made.failures["system"]) == {"my_wavs"}
    assert "file_missing" in set(made.failures["kind"])
    assert "file_missing" in made.failures_by_kind


def test_compare_takes_results_and_folders(tmp_path: Path) -> None:
    from tests.reporting.made_runs import make_run
    from tests.reporting.test_comparison import CLIPS, SYSTEMS

    folder = make_run(tmp_path / "run", SYSTEMS, CLIPS)
    first = f2v_bench.compare(api.Result(folder.path), baseline="good", columns=["wer"]).table()
    second = f2v_bench.compare(str(folder.path), baseline="good", columns=["wer"])
    pd.testing.assert_frame_equal(first, second.table())
    assert first.set_index("system").loc["bad", "verdict"] == "worse"
    assert "<table" in second._repr_html_()


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_a_metric_is_called_with_arrays_or_tensors(convert: object) -> None:
    metric = f2v_bench.load_metric("stoi")
    assert callable(convert)
    speech, noisy = babble(1.0), babble(1.0) + 0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    found = metric(convert(noisy), convert(speech), sample_rate=RATE)
    assert isinstance(found, dict)
    assert 0.3 < found["stoi"] < 1
    assert metric(convert(speech), convert(speech), sample_rate=RATE)["stoi"] == pytest.approx(1)


def test_metric_options_are_keywords() -> None:
    default, compat = f2v_bench.load_metric("dnsmos"), f2v_bench.load_metric("dnsmos", compat="all-segments")
    assert default.signature != compat.signature
    with pytest.raises(F2VError, match="compatt"):
        f2v_bench.load_metric("dnsmos", compatt="all-segments")
    with pytest.raises(F2VError, match="is unavailable"):
        f2v_bench.load_metric("wer")  # neither Whisper's weights nor a grammar


def test_a_system_is_loaded_by_name() -> None:
    dataset = f2v_bench.load_dataset("demo")
    system = f2v_bench.load_system("shuffled", dataset=dataset, device="cpu")
    clip = dataset.clips()[0]
    (waveform,) = system.synthesize([clip], 0)
    assert isinstance(waveform, f2v_bench.clip.Waveform)
    with pytest.raises(F2VError, match="no setting 'stepz'"):
        f2v_bench.load_system("ours", dataset="demo", device="cpu", stepz=3)


def test_a_script_without_main_guard_scores_in_one_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from f2v_bench.runs.build import default_workers\nprint(default_workers())\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
