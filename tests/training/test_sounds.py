"""Folders of audio: shards, pieces, and what the autoencoder hears of them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.vocoders.excitation import pulses_at
from f2v_bench.signal.mel import log_mel
from f2v_bench.training.callbacks import ThroughputCallback
from f2v_bench.training.data.audio_dataset import ClipAudioDataset, FolderAudioDataset, clip_audio_features, dio_f0
from f2v_bench.training.data.audio_index import index_folder, shard_index
from f2v_bench.training.data.dataset import ClipDataset
from f2v_bench.training.data.loader import StepSampler
from tests.clips import babble
from tests.training.toys import toy_prepared

RATE = 16_000


class Ears:
    """Takes the place of the speaker encoder."""

    def embed(self, clips: list[Any]) -> Any:
        return np.full((len(clips), 256), float(np.abs(clips[0]).mean()), np.float32)


@pytest.fixture(autouse=True)
def ears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2v_bench.training.data.audio_dataset.speaker_encoder", Ears)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve files of 1 to 2 s in two folders, one of 7 s, and one that is no audio."""
    for at in range(12):
        path = tmp_path / "audio" / f"voice{at % 2}" / f"{at:02d}.{'wav' if at % 3 else 'flac'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, babble(1 + at / 12, at), RATE)
    soundfile.write(tmp_path / "audio" / "long.flac", babble(7.0, 99, 22_050), 22_050)
    (tmp_path / "audio" / "notes.txt").write_text("no audio")
    return tmp_path / "audio"


def test_every_file_is_in_one_shard_and_whole(folder: Path, tmp_path: Path) -> None:
    """Each piece is of one file, and the pieces of a file are all there."""
    done: list[tuple[int, int]] = []
    shards = index_folder(folder, tmp_path / "lists", 4, 25, progress=lambda *at: done.append(at))
    pieces = [shards[at] for at in range(len(shards))]
    assert (done[0], done[-1]) == ((0, 13), (13, 13))
    assert {piece.path.relative_to(folder) for piece in pieces} == {
        path.relative_to(folder) for path in folder.rglob("*") if path.suffix in {".wav", ".flac"}
    }
    for path in {piece.path for piece in pieces}:
        own = [piece for piece in pieces if piece.path == path]
        assert [piece.place for piece in own] == list(range(own[0].pieces))
        assert own[0].pieces == max(1, round(soundfile.info(path).duration))
        assert own[0].seconds == pytest.approx(soundfile.info(path).duration, abs=1e-5)
    assert shards.index.files == 13
    assert shards.index.hours == pytest.approx(sum(one.seconds / one.pieces for one in pieces) / 3600)
    at = 0
    for shard, count in enumerate(shards.index.pieces):
        names = {str(piece.path.relative_to(folder)) for piece in pieces[at : at + count]}
        assert {shard_index(name, 4) for name in names} <= {shard}
        at += count


def test_shards_follow_from_names_alone(folder: Path, tmp_path: Path) -> None:
    """Another file moves none, and a list that is there is taken as it is."""
    first = index_folder(folder, tmp_path / "one", 4, 25)
    before = {first[at].path: shard_index(str(first[at].path.relative_to(folder)), 4) for at in range(len(first))}
    soundfile.write(folder / "new.wav", babble(1.0), RATE)
    again = index_folder(folder, tmp_path / "two", 4, 25)
    assert len(again) == len(first) + 1
    assert all(shard_index(str(path.relative_to(folder)), 4) == shard for path, shard in before.items())
    kept = index_folder(folder, tmp_path / "one", 4, 25)
    assert [kept[at] for at in range(len(kept))] == [first[at] for at in range(len(first))]


def test_empty_shards_are_passed_over(folder: Path, tmp_path: Path) -> None:
    shards = index_folder(folder, tmp_path / "lists", 200, 25)
    assert 0 in shards.index.pieces
    assert len({shards[at].path for at in range(len(shards))}) == 13
    order = StepSampler(
        lambda *_: None,  # type: ignore[arg-type,return-value]
        count=len(shards), batch=4, steps=50, seed=0, groups=shards.index.pieces,
    )  # fmt: skip
    seen = [at for step in range(50) for at in order.clips_of(step)][: len(shards)]
    assert sorted(seen) == list(range(len(shards)))


@pytest.mark.slow
def test_processes_list_as_one(folder: Path, tmp_path: Path) -> None:
    alone, together = (index_folder(folder, tmp_path / str(count), 4, 25, workers=count) for count in (1, 2))
    assert alone.index == together.index


def test_what_cannot_be_heard_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF and nothing")
    soundfile.write(folder / "blink.wav", babble(0.03), RATE)
    shards = index_folder(folder, tmp_path / "lists", 4, 25)
    assert shards.index.files == 13
    assert set(shards.index.left_out) == {"broken.wav", "blink.wav"}
    assert shards.index.left_out["broken.wav"].startswith("unreadable_audio")
    assert "lasts 30 ms" in shards.index.left_out["blink.wav"]
    with pytest.raises(F2VError, match="is not a folder"):
        index_folder(folder / "nowhere", tmp_path / "a", 4, 25)
    (tmp_path / "empty").mkdir()
    with pytest.raises(F2VError, match="there is no audio file in it"):
        index_folder(tmp_path / "empty", tmp_path / "b", 4, 25)


def sounds(
    folder: Path, lists: Path, rate: int | None = None, segment: int = 25
) -> tuple[FolderAudioDataset, list[str]]:
    told: list[str] = []
    return FolderAudioDataset(index_folder(folder, lists, 4, segment), rate, segment, told.append), told


def test_a_piece_is_heard_as_it_lies_in_the_file(folder: Path, tmp_path: Path) -> None:
    """Each of the long file's seven pieces comes from its own part, and they reach to both ends."""
    found, told = sounds(folder, tmp_path / "lists", RATE)
    path = folder / "long.flac"
    whole, rate = soundfile.read(path, dtype="float32")
    places = [at for at in range(len(found.shards)) if found.shards[at].path == path]
    assert len(places) == 7 == len({found.shards[at].place for at in places})
    for at in places:
        item = found.load(at, np.random.default_rng(at))
        assert item.frames == 25
        assert item.sequences["audio"].shape == (16_000,)
        np.testing.assert_allclose(item.sequences["mel"], log_mel(item.sequences["audio"], RATE), atol=1e-5)
        assert item.sequences["f0"].shape == (100,)
        share = np.random.default_rng(at).random()
        start = round((7.0 - 1.0) * (found.shards[at].place + share) / 7 * rate)
        level = np.sqrt(np.mean(whole[start : start + rate] ** 2))
        assert np.sqrt(np.mean(item.sequences["audio"] ** 2)) == pytest.approx(level, rel=0.02)
    assert told == []


def test_the_same_draw_is_the_same_piece(folder: Path, tmp_path: Path) -> None:
    one, _ = sounds(folder, tmp_path / "lists")
    other, _ = sounds(folder, tmp_path / "lists")
    for at in range(len(one.shards)):
        ours, theirs = (each.load(at, np.random.default_rng([3, at])) for each in (one, other))
        np.testing.assert_array_equal(ours.sequences["mel"], theirs.sequences["mel"])
        assert set(ours.sequences) == {"mel"}


def test_short_files_are_short_items(folder: Path, tmp_path: Path) -> None:
    found, _ = sounds(folder, tmp_path / "lists", segment=75)
    lengths = {found.load(at, np.random.default_rng(0)).frames for at in range(len(found.shards))}
    assert max(lengths) == 75
    assert min(lengths) == 25
    beside = [found.beside(np.random.default_rng(at)) for at in range(20)]
    assert {one["heard_mel"].shape for one in beside} == {(300, 80)}
    for one in beside:
        real = 4 * int(one["heard_frames"])
        assert np.all(one["heard_mel"][real:] == np.log(np.float32(1e-5)))
        assert one["heard_mel"][:real].std() > 0.5


def test_files_that_break_on_the_way_are_told_once_and_passed_over(folder: Path, tmp_path: Path) -> None:
    found, told = sounds(folder, tmp_path / "lists")
    broken = folder / "voice1" / "01.wav"
    broken.write_bytes(b"gone")
    at = next(at for at in range(len(found.shards)) if found.shards[at].path == broken)
    items = [found.load(at, np.random.default_rng(0)) for _ in range(3)]
    instead = found.load((at + 1) % len(found.shards), np.random.default_rng(0))
    np.testing.assert_array_equal(items[0].sequences["mel"], instead.sequences["mel"])
    assert len(told) == 1
    assert "01.wav" in told[0]


def test_silence_is_passed_over_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "silence.wav", np.zeros(RATE), RATE)
    found, told = sounds(tmp_path / "audio", tmp_path / "lists")
    with pytest.raises(F2VError, match=r"pieces in a row of .* cannot be heard"):
        found.load(0, np.random.default_rng(0))
    assert told == []


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    """A second of a file of five minutes takes no more than a second."""
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "book.flac", np.tile(babble(10.0), 30), RATE)
    found, _ = sounds(tmp_path / "audio", tmp_path / "lists")
    assert len(found.shards) == 300
    found.load(0, np.random.default_rng(0))
    tracemalloc.start()
    for at in range(0, 300, 20):
        found.load(at, np.random.default_rng(at))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000, "five minutes would be 19 MB"


def test_clips_are_heard_in_segments(tmp_path: Path) -> None:
    clips = ClipDataset(toy_prepared(tmp_path, [20, 6]))
    found = ClipAudioDataset(clips, RATE, 8)
    assert list(found.groups) == [2]
    firsts = set()
    for draw in range(20):
        item = found.load(0, np.random.default_rng(draw))
        assert {name: len(one) for name, one in item.sequences.items()} == {"mel": 32, "audio": 5120, "f0": 32}
        (first,) = (at for at in range(13) if np.array_equal(clips[0].mel[4 * at : 4 * at + 32], item.sequences["mel"]))
        np.testing.assert_array_equal(item.sequences["f0"], clips[0].f0[4 * first : 4 * first + 32])
        np.testing.assert_array_equal(
            item.sequences["audio"], clip_audio_features(clips, 0, RATE)["audio"][640 * first : 640 * first + 5120]
        )
        firsts.add(first)
    assert len(firsts) > 5
    assert found.load(1, np.random.default_rng(0)).frames == 6
    assert set(ClipAudioDataset(clips, None, 8).load(0, np.random.default_rng(0)).sequences) == {"mel"}


def test_quick_f0_follows_a_gliding_voice() -> None:
    """On the grid of the protocol's F0: frame i is centred on sample 160 i."""
    real = torch.linspace(110, 190, 200)[None]
    speech = functional.avg_pool1d(0.1 * pulses_at(real), 5, 1, 2)[0].numpy()
    found = dio_f0(np.concatenate([speech, np.zeros(6400, np.float32)]))
    assert found.shape == (240,)
    assert np.median(np.abs(found[:200] - real[0].numpy())) < 1
    assert (found[210:] == 0).all()


def test_throughput_is_told_in_hours_an_hour() -> None:
    speed = ThroughputCallback(1000, print)
    speed.heard, speed.seen = 0.5, 100
    assert speed.told(300, 60.0) == "audio: step 300 of 1,000, 30 hours of audio an hour, 7 min left"
