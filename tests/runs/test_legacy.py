"""Run folders of format 1 are read under their present names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from f2v_bench.clip import Clip
from f2v_bench.reporting.comparison import compare_runs
from f2v_bench.reporting.results import read_results
from f2v_bench.runs.executor import run
from f2v_bench.runs.folder import RunFolder
from tests.reporting.made_runs import WER, clip_ids, make_run
from tests.runs.toys import Loudness, Noise, RecordedProgress, make_clips, run_spec

NEW_WER = "wer:v1|normalizer:lower"
OLD_WER = NEW_WER.replace("lizer", "liser")


def downgrade(path: Path) -> None:
    """Rewrite a run folder as the first version of the package wrote it."""
    manifest = json.loads((path / "run.json").read_text())
    data = manifest["dataset"]
    data["licence"], data["listed"] = data.pop("license"), data.pop("list_size")
    for system in manifest["systems"]:
        system["anchor"] = system.pop("reference")
    (path / "run.json").write_text(json.dumps(manifest | {"format": 1}))
    clips = pd.read_parquet(path / "clips.parquet").rename(columns={"face_visible": "face_seen"})
    clips.to_parquet(path / "clips.parquet", index=False)
    for shard in (path / "shards").glob("faces-*.jsonl"):
        shard.write_text(shard.read_text().replace('"visible"', '"seen"'))


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    return make_clips(tmp_path / "clips", 3)


def test_names_of_format_1(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(replace(run_spec(clips, Noise(), Loudness()), list_size=7), folder, RecordedProgress())
    new = folder.manifest()
    downgrade(folder.path)
    old = folder.manifest()
    assert old | {"format": 2} == new
    assert (old["dataset"]["license"], old["dataset"]["list_size"]) == ("none", 7)
    assert old["systems"][0]["reference"] is False
    assert read_results(folder).title == "toys/test: first 3 of 7 clips, seed 0"


def test_an_anchor_of_format_1_is_a_reference_row(tmp_path: Path) -> None:
    values = {"mos": dict.fromkeys(clip_ids(8), 3.0)}
    folder = make_run(tmp_path / "run", {"resynthesis": values, "a": values, "b": values}, clip_ids(8))
    downgrade_systems = json.loads((folder.path / "run.json").read_text())
    for system in downgrade_systems["systems"]:
        system["anchor"] = system.pop("reference")
    (folder.path / "run.json").write_text(json.dumps(downgrade_systems | {"format": 1}))
    assert read_results(folder).reference_rows == ["resynthesis"]


def test_faces_of_format_1_are_not_detected_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    spec = replace(run_spec(clips, Noise(), Loudness()), find_face=lambda _clip: 0.5)
    run(spec, folder, RecordedProgress())
    before = folder.table("clips")
    downgrade(folder.path)
    pd.testing.assert_frame_equal(folder.table("clips"), before)
    assert {record.visible for record in folder.face_records().values()} == {0.5}
    progress = RecordedProgress()
    run(spec, folder, progress)
    assert progress.stages[0] == ("faces", 3, 3)
    assert folder.manifest()["format"] == 2


def test_a_clip_without_face_detection_of_format_1(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(run_spec(clips, Noise(), Loudness()), folder, RecordedProgress())
    before = folder.table("clips")
    table = pd.read_parquet(folder.path / "clips.parquet")
    table.assign(face_status="not_looked_for").to_parquet(folder.path / "clips.parquet", index=False)
    pd.testing.assert_frame_equal(folder.table("clips"), before)


def test_a_british_signature_compares_with_its_present_spelling(tmp_path: Path) -> None:
    scores = {"wer": dict.fromkeys(clip_ids(8), 0.5)}
    old = make_run(tmp_path / "old", {"a": scores}, clip_ids(8), columns=[WER], signatures={"wer": OLD_WER})
    new = make_run(tmp_path / "new", {"b": scores}, clip_ids(8), columns=[WER], signatures={"wer": NEW_WER})
    assert set(old.table("scores")["signature"]) == {NEW_WER}
    assert compare_runs([old, new]).rows[0].why == ""
