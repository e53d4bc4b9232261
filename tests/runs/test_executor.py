from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.runs.executor import run
from f2v_bench.runs.folder import Journal, RunFolder
from tests.runs.toys import Loudness, Noise, RecordedProgress, make_clips, run_spec


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), 8)


def test_a_run_writes_tables_audio_and_a_manifest(clips: list[Clip], tmp_path: Path) -> None:
    folder, progress = RunFolder(tmp_path / "run"), RecordedProgress()
    summary = run(run_spec(clips, Noise(), Loudness()), folder, progress)
    assert not summary.failures
    assert (summary.synthesized, summary.scored, progress.done) == (8, 8, 16)
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
    run(run_spec(clips, Noise(), Loudness()), folder, RecordedProgress())
    before = (tmp_path / "scores.parquet").read_bytes()
    system, metric = Noise(), Loudness()
    summary = run(run_spec(clips, system, metric), folder, RecordedProgress())
    assert (summary.synthesized, summary.scored) == (0, 0)
    assert not system.calls
    assert not metric.calls
    assert (tmp_path / "scores.parquet").read_bytes() == before


@pytest.mark.parametrize("stop_after", [0, 4, 7])
def test_an_interrupted_run_resumes_to_the_same_scores(clips: list[Clip], tmp_path: Path, stop_after: int) -> None:
    whole = RunFolder(tmp_path / "whole")
    run(run_spec(clips, Noise(), Loudness()), whole, RecordedProgress())
    folder, system = RunFolder(tmp_path / "cut"), Noise()
    system.stop_after = stop_after
    with pytest.raises(KeyboardInterrupt):
        run(run_spec(clips, system, Loudness()), folder, RecordedProgress())
    with pytest.raises(F2VError, match="did not finish"):
        folder.table("scores")
    system.stop_after = None
    run(run_spec(clips, system, Loudness()), folder, RecordedProgress())
    assert set(system.calls.values()) == {1}
    pd.testing.assert_frame_equal(folder.table("scores"), whole.table("scores"))


def test_a_torn_last_line_is_computed_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(run_spec(clips, Noise(), Loudness()), folder, RecordedProgress())
    whole = folder.table("scores")
    shard = next((tmp_path / "shards").glob("scores-*.jsonl"))
    shard.write_bytes(shard.read_bytes()[:-20])
    metric = Loudness()
    run(run_spec(clips, Noise(), metric), folder, RecordedProgress())
    assert metric.calls.total() == 1
    pd.testing.assert_frame_equal(folder.table("scores"), whole)


def test_only_what_changed_is_computed_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(run_spec(clips, Noise(), Loudness()), folder, RecordedProgress())
    system, metric = Noise(), Loudness()
    system.version = 2  # other weights: all audio is synthesized again; it is equal, so no score is computed
    run(run_spec(clips, system, metric), folder, RecordedProgress())
    assert (system.calls.total(), metric.calls.total()) == (8, 0)
    system, metric = Noise(), Loudness()
    system.version, metric.version = 2, 2  # another protocol: all scores are computed again
    run(run_spec(clips, system, metric), folder, RecordedProgress())
    assert (system.calls.total(), metric.calls.total()) == (0, 8)
    assert set(folder.table("scores")["signature"]) == {"loudness:2"}


def test_deleted_audio_is_synthesized_again(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    run(run_spec(clips, Noise(), Loudness()), folder, RecordedProgress())
    folder.audio_path("noise", clips[3].id).unlink()
    system = Noise()
    run(run_spec(clips, system, Loudness()), folder, RecordedProgress())
    assert dict(system.calls) == {clips[3].id: 1}


def test_a_longer_list_adds_to_a_shorter_one(clips: list[Clip], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    first = run_spec(clips, Noise(), Loudness())
    run(replace(first, clips=first.clips[:3]), folder, RecordedProgress())
    assert len(folder.table("scores")) == 3
    system = Noise()
    run(run_spec(clips, system, Loudness()), folder, RecordedProgress())
    assert system.calls.total() == 5
    assert len(folder.table("scores")) == 8


def test_a_broken_clip_fails_alone_and_leaves_a_traceback(clips: list[Clip], tmp_path: Path) -> None:
    bad = frozenset({clips[4].id})
    summary = run(run_spec(clips, Noise(broken=bad), Loudness()), RunFolder(tmp_path), RecordedProgress())
    assert summary.failures == {"synthesis_failed": {f"noise/{clips[4].id}": "RuntimeError: the network exploded"}}
    assert "the network exploded" in (tmp_path / "errors.log").read_text()
    assert len(RunFolder(tmp_path).table("scores")) == 7


def test_failures_of_the_clip_are_kept_and_failures_of_the_environment_are_retried(
    clips: list[Clip], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    broken, failing = frozenset({clips[0].id}), frozenset({clips[1].id})
    run(run_spec(clips, Noise(broken, failing), Loudness()), folder, RecordedProgress())
    healed = Noise()
    summary = run(run_spec(clips, healed, Loudness()), folder, RecordedProgress())
    assert dict(healed.calls) == {clips[0].id: 1}
    assert summary.failures == {"too_short": {f"noise/{clips[1].id}": "cannot"}}


def test_clips_without_a_face_fail_in_systems_that_need_faces(clips: list[Clip], tmp_path: Path) -> None:
    class FaceNoise(Noise):
        needs_faces = True

    def find_face(clip: Clip) -> float:
        if clip.id == clips[2].id:
            raise ClipFailure(FailureKind.NO_FACE, "no face in any frame")
        return 0.9

    folder = RunFolder(tmp_path)
    spec = replace(run_spec(clips, FaceNoise(), Loudness()), find_face=find_face)
    summary = run(spec, folder, RecordedProgress())
    assert set(summary.failures) == {"no_face"}
    assert set(summary.failures["no_face"]) == {clips[2].id, f"noise/{clips[2].id}"}
    assert len(folder.table("scores")) == 7
    table = folder.table("clips").set_index("id")
    assert table.loc[clips[2].id, "face_status"] == "no_face"
    assert table.loc[clips[0].id, "face_visible"] == 0.9
    progress = RecordedProgress()
    run(spec, folder, progress)
    assert progress.stages[0] == ("faces", 8, 8)


def test_another_seed_or_list_needs_another_folder(clips: list[Clip], tmp_path: Path) -> None:
    run(run_spec(clips, Noise(), Loudness()), RunFolder(tmp_path), RecordedProgress())
    with pytest.raises(F2VError, match="holds a run with seed 0, this one has 1"):
        run(run_spec(clips, Noise(), Loudness(), seed=1), RunFolder(tmp_path), RecordedProgress())


def test_two_processes_cannot_share_a_folder(clips: list[Clip], tmp_path: Path) -> None:
    with Journal(RunFolder(tmp_path)), pytest.raises(F2VError, match="another f2v-bench is running"):
        run(run_spec(clips, Noise(), Loudness()), RunFolder(tmp_path), RecordedProgress())


def test_a_folder_that_cannot_be_written_is_an_error(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(F2VError, match="is a file"):
        run(run_spec(clips, Noise(), Loudness()), RunFolder(tmp_path / "file"), RecordedProgress())
    with pytest.raises(F2VError, match="cannot be written"):
        run(run_spec(clips, Noise(), Loudness()), RunFolder(tmp_path / "file" / "below"), RecordedProgress())


def test_a_folder_that_is_not_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="is not a run folder"):
        RunFolder(tmp_path).manifest()
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(F2VError, match="run-folder format 99"):
        RunFolder(tmp_path).manifest()
