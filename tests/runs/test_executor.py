from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.runs.executor import execute
from f2v_bench.runs.folder import Journal, RunFolder
from tests.runs.toys import Loudness, Noise, Silent, make_clips, plan


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), 8)


def test_a_run_leaves_tables_audio_and_a_manifest(clips: list[Clip], tmp_path: Path) -> None:
    folder, watcher = RunFolder(tmp_path / "run"), Silent()
    summary = execute(plan(clips, Noise(), Loudness()), folder, watcher)
    assert not summary.failures
    assert (summary.synthesized, summary.scored, watcher.done) == (8, 8, 16)
    scores = folder.table("scores")
    assert sorted(scores["clip"]) == sorted(clip.id for clip in clips)
    assert np.allclose(scores["value"], 0.1, atol=0.01)
    assert folder.table("clips")["text"].tolist() == [clip.text for clip in sorted(clips, key=lambda c: c.id)]
    assert all(folder.audio_path("noise", clip.id).is_file() for clip in clips)
    manifest = folder.manifest()
    assert manifest["dataset"]["list_id"] == "toys/test"
    assert manifest["metrics"][0]["signature"] == "loudness:1"
    assert manifest["finished"]
    assert manifest["hardware"]["cores"] >= 1


def test_a_second_start_computes_nothing(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    execute(plan(clips, Noise(), Loudness()), folder, Silent())
    before = (tmp_path / "scores.parquet").read_bytes()
    system, metric = Noise(), Loudness()
    summary = execute(plan(clips, system, metric), folder, Silent())
    assert (summary.synthesized, summary.scored) == (0, 0)
    assert not system.asked
    assert not metric.asked
    assert (tmp_path / "scores.parquet").read_bytes() == before


@pytest.mark.parametrize("stop_after", [0, 4, 7])
def test_an_interrupted_run_goes_on_to_the_same_scores(clips: list[Clip], tmp_path: Path, stop_after: int) -> None:
    whole = RunFolder(tmp_path / "whole")
    execute(plan(clips, Noise(), Loudness()), whole, Silent())
    folder, system = RunFolder(tmp_path / "cut"), Noise()
    system.stop_after = stop_after
    with pytest.raises(KeyboardInterrupt):
        execute(plan(clips, system, Loudness()), folder, Silent())
    with pytest.raises(F2VError, match="did not finish"):
        folder.table("scores")
    system.stop_after = None
    execute(plan(clips, system, Loudness()), folder, Silent())
    assert set(system.asked.values()) == {1}
    pd.testing.assert_frame_equal(folder.table("scores"), whole.table("scores"))


def test_a_torn_last_line_is_computed_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    execute(plan(clips, Noise(), Loudness()), folder, Silent())
    whole = folder.table("scores")
    shard = next((tmp_path / "shards").glob("scores-*.jsonl"))
    shard.write_bytes(shard.read_bytes()[:-20])
    metric = Loudness()
    execute(plan(clips, Noise(), metric), folder, Silent())
    assert metric.asked.total() == 1
    pd.testing.assert_frame_equal(folder.table("scores"), whole)


def test_only_what_changed_is_computed_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    execute(plan(clips, Noise(), Loudness()), folder, Silent())
    system, metric = Noise(), Loudness()
    system.version = 2  # other weights: all audio anew; it turns out the same, so no score is
    execute(plan(clips, system, metric), folder, Silent())
    assert (system.asked.total(), metric.asked.total()) == (8, 0)
    system, metric = Noise(), Loudness()
    system.version, metric.version = 2, 2  # another protocol: all scores anew
    execute(plan(clips, system, metric), folder, Silent())
    assert (system.asked.total(), metric.asked.total()) == (0, 8)
    assert set(folder.table("scores")["signature"]) == {"loudness:2"}


def test_deleted_audio_is_made_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    execute(plan(clips, Noise(), Loudness()), folder, Silent())
    folder.audio_path("noise", clips[3].id).unlink()
    system = Noise()
    execute(plan(clips, system, Loudness()), folder, Silent())
    assert dict(system.asked) == {clips[3].id: 1}


def test_a_longer_list_adds_to_a_shorter_one(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    first = plan(clips, Noise(), Loudness())
    execute(replace(first, clips=first.clips[:3]), folder, Silent())
    assert len(folder.table("scores")) == 3
    system = Noise()
    execute(plan(clips, system, Loudness()), folder, Silent())
    assert system.asked.total() == 5
    assert len(folder.table("scores")) == 8


def test_a_broken_clip_fails_alone_and_leaves_a_traceback(clips: list[Clip], tmp_path: Path) -> None:
    bad = frozenset({clips[4].id})
    summary = execute(plan(clips, Noise(broken=bad), Loudness()), RunFolder(tmp_path), Silent())
    assert summary.failures == {"synthesis_failed": {f"noise/{clips[4].id}": "RuntimeError: the network exploded"}}
    assert "the network exploded" in (tmp_path / "errors.log").read_text()
    assert len(RunFolder(tmp_path).table("scores")) == 7


def test_failures_of_the_clip_stand_and_failures_of_the_surroundings_are_tried_again(
    clips: list[Clip], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    broken, failing = frozenset({clips[0].id}), frozenset({clips[1].id})
    execute(plan(clips, Noise(broken, failing), Loudness()), folder, Silent())
    healed = Noise()
    summary = execute(plan(clips, healed, Loudness()), folder, Silent())
    assert dict(healed.asked) == {clips[0].id: 1}
    assert summary.failures == {"too_short": {f"noise/{clips[1].id}": "cannot"}}


def test_clips_without_a_face_fail_where_faces_are_looked_at(clips: list[Clip], tmp_path: Path) -> None:
    class Watching(Noise):
        needs_faces = True

    def find_face(clip: Clip) -> float:
        if clip.id == clips[2].id:
            raise ClipFailure(FailureKind.NO_FACE, "nobody there")
        return 0.9

    folder = RunFolder(tmp_path)
    seeing = replace(plan(clips, Watching(), Loudness()), find_face=find_face)
    summary = execute(seeing, folder, Silent())
    assert set(summary.failures) == {"no_face"}
    assert set(summary.failures["no_face"]) == {clips[2].id, f"noise/{clips[2].id}"}
    assert len(folder.table("scores")) == 7
    table = folder.table("clips").set_index("id")
    assert table.loc[clips[2].id, "face_status"] == "no_face"
    assert table.loc[clips[0].id, "face_seen"] == 0.9
    watcher = Silent()
    execute(seeing, folder, watcher)
    assert watcher.stages[0] == ("faces", 8, 8)


def test_another_seed_or_list_needs_another_folder(clips: list[Clip], tmp_path: Path) -> None:
    execute(plan(clips, Noise(), Loudness()), RunFolder(tmp_path), Silent())
    with pytest.raises(F2VError, match="holds a run with seed 0, this one has 1"):
        execute(plan(clips, Noise(), Loudness(), seed=1), RunFolder(tmp_path), Silent())


def test_two_processes_cannot_share_a_folder(clips: list[Clip], tmp_path: Path) -> None:
    with Journal(RunFolder(tmp_path)), pytest.raises(F2VError, match="another f2v-bench is running"):
        execute(plan(clips, Noise(), Loudness()), RunFolder(tmp_path), Silent())


def test_a_folder_that_cannot_be_written_is_said(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(F2VError, match="is a file"):
        execute(plan(clips, Noise(), Loudness()), RunFolder(tmp_path / "file"), Silent())
    with pytest.raises(F2VError, match="cannot be written"):
        execute(plan(clips, Noise(), Loudness()), RunFolder(tmp_path / "file" / "below"), Silent())


def test_what_is_no_run_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="is not a run folder"):
        RunFolder(tmp_path).manifest()
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(F2VError, match="run-folder format 99"):
        RunFolder(tmp_path).manifest()
