"""Index of a folder of audio files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from f2v_bench.errors import F2VError
from f2v_bench.training.data.audio_index import AudioIndex, index_folder, shard_index
from f2v_bench.training.data.loader import StepSampler
from tests.clips import babble
from tests.training.toys import audio_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return audio_folder(tmp_path / "audio")


def test_every_file_is_complete_and_in_one_shard(folder: Path, tmp_path: Path) -> None:
    """Every segment is of one file, and all segments of a file are there."""
    done: list[tuple[int, int]] = []
    index = index_folder(folder, tmp_path / "lists", 4, 25, progress=lambda *report: done.append(report))
    segments = [index[at] for at in range(len(index))]
    assert (done[0], done[-1]) == ((0, 13), (13, 13))
    assert {segment.path.relative_to(folder) for segment in segments} == {
        path.relative_to(folder) for path in folder.rglob("*") if path.suffix in {".wav", ".flac"}
    }
    for path in {segment.path for segment in segments}:
        own = [segment for segment in segments if segment.path == path]
        assert [segment.position for segment in own] == list(range(own[0].parts))
        assert own[0].parts == max(1, round(soundfile.info(path).duration))
        assert own[0].seconds == pytest.approx(soundfile.info(path).duration, abs=1e-5)
    assert index.info.files == 13
    assert index.info.hours == pytest.approx(sum(one.seconds / one.parts for one in segments) / 3600)
    at = 0
    for shard, count in enumerate(index.info.segments):
        names = {str(segment.path.relative_to(folder)) for segment in segments[at : at + count]}
        assert {shard_index(name, 4) for name in names} <= {shard}
        at += count


def test_shards_depend_on_names_alone(folder: Path, tmp_path: Path) -> None:
    """A new file moves no other, and an existing index is used as it is."""
    first = index_folder(folder, tmp_path / "one", 4, 25)
    before = {first[at].path: shard_index(str(first[at].path.relative_to(folder)), 4) for at in range(len(first))}
    soundfile.write(folder / "new.wav", babble(1.0), 16_000)
    again = index_folder(folder, tmp_path / "two", 4, 25)
    assert len(again) == len(first) + 1
    assert all(shard_index(str(path.relative_to(folder)), 4) == shard for path, shard in before.items())
    kept = index_folder(folder, tmp_path / "one", 4, 25)
    assert [kept[at] for at in range(len(kept))] == [first[at] for at in range(len(first))]


def test_empty_shards_are_skipped(folder: Path, tmp_path: Path) -> None:
    index = index_folder(folder, tmp_path / "lists", 200, 25)
    assert 0 in index.info.segments
    assert len({index[at].path for at in range(len(index))}) == 13
    sampler = StepSampler(
        lambda *_: None,  # type: ignore[arg-type,return-value]
        count=len(index), batch=4, steps=50, seed=0, groups=index.info.segments,
    )  # fmt: skip
    visited = [at for step in range(50) for at in sampler.batch_indices(step)][: len(index)]
    assert sorted(visited) == list(range(len(index)))


@pytest.mark.slow
def test_processes_write_the_index_of_one(folder: Path, tmp_path: Path) -> None:
    alone, together = (index_folder(folder, tmp_path / str(count), 4, 25, workers=count) for count in (1, 2))
    assert alone.info == together.info


def test_unreadable_files_are_reported(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF and nothing")
    soundfile.write(folder / "blink.wav", babble(0.03), 16_000)
    index = index_folder(folder, tmp_path / "lists", 4, 25)
    assert index.info.files == 13
    assert set(index.info.skipped) == {"broken.wav", "blink.wav"}
    assert index.info.skipped["broken.wav"].startswith("unreadable_audio")
    assert "lasts 30 ms" in index.info.skipped["blink.wav"]
    with pytest.raises(F2VError, match="is not a folder"):
        index_folder(folder / "nowhere", tmp_path / "a", 4, 25)
    (tmp_path / "empty").mkdir()
    with pytest.raises(F2VError, match="there is no audio file in it"):
        index_folder(tmp_path / "empty", tmp_path / "b", 4, 25)


def test_earlier_field_names_are_read(folder: Path, tmp_path: Path) -> None:
    index = index_folder(folder, tmp_path / "lists", 4, 25)
    file = tmp_path / "lists" / "index.json"
    content = json.loads(file.read_text())
    assert {"segments", "skipped"} <= set(content)
    content["pieces"], content["left_out"] = content.pop("segments"), content.pop("skipped")
    file.write_text(json.dumps(content))
    assert AudioIndex(tmp_path / "lists").info == index.info
