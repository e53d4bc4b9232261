"""Audio segments of folders and of training clips."""

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
from f2v_bench.nn.vocoders.excitation import pulse_train
from f2v_bench.signal.mel import log_mel
from f2v_bench.training.data.audio_dataset import ClipAudioDataset, FolderAudioDataset, clip_audio_features, dio_f0
from f2v_bench.training.data.audio_index import index_folder
from f2v_bench.training.data.dataset import ClipDataset
from tests.clips import babble
from tests.training.toys import audio_folder, toy_prepared

RATE = 16_000


class LoudnessEncoder:
    """Stand-in for the speaker encoder: the mean level."""

    def embed(self, clips: list[Any]) -> Any:
        return np.full((len(clips), 256), float(np.abs(clips[0]).mean()), np.float32)


@pytest.fixture(autouse=True)
def speaker_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2v_bench.training.data.audio_dataset.speaker_encoder", LoudnessEncoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return audio_folder(tmp_path / "audio")


def folder_dataset(
    folder: Path, lists: Path, rate: int | None = None, segment: int = 25
) -> tuple[FolderAudioDataset, list[str]]:
    messages: list[str] = []
    return FolderAudioDataset(index_folder(folder, lists, 4, segment), rate, segment, messages.append), messages


def test_a_segment_is_cut_from_its_part_of_the_file(folder: Path, tmp_path: Path) -> None:
    """Each of the seven segments of the long file comes from its own part."""
    dataset, messages = folder_dataset(folder, tmp_path / "lists", RATE)
    path = folder / "long.flac"
    whole, rate = soundfile.read(path, dtype="float32")
    indices = [at for at in range(len(dataset.index)) if dataset.index[at].path == path]
    assert len(indices) == 7 == len({dataset.index[at].position for at in indices})
    for at in indices:
        item = dataset.load(at, np.random.default_rng(at))
        assert item.frames == 25
        assert item.sequences["audio"].shape == (16_000,)
        np.testing.assert_allclose(item.sequences["mel"], log_mel(item.sequences["audio"], RATE), atol=1e-5)
        assert item.sequences["f0"].shape == (100,)
        offset = np.random.default_rng(at).random()
        start = round((7.0 - 1.0) * (dataset.index[at].position + offset) / 7 * rate)
        level = np.sqrt(np.mean(whole[start : start + rate] ** 2))
        assert np.sqrt(np.mean(item.sequences["audio"] ** 2)) == pytest.approx(level, rel=0.02)
    assert messages == []


def test_equal_random_numbers_give_equal_segments(folder: Path, tmp_path: Path) -> None:
    one, _ = folder_dataset(folder, tmp_path / "lists")
    other, _ = folder_dataset(folder, tmp_path / "lists")
    for at in range(len(one.index)):
        ours, theirs = (each.load(at, np.random.default_rng([3, at])) for each in (one, other))
        np.testing.assert_array_equal(ours.sequences["mel"], theirs.sequences["mel"])
        assert set(ours.sequences) == {"mel"}


def test_short_files_give_short_examples(folder: Path, tmp_path: Path) -> None:
    dataset, _ = folder_dataset(folder, tmp_path / "lists", segment=75)
    lengths = {dataset.load(at, np.random.default_rng(0)).frames for at in range(len(dataset.index))}
    assert max(lengths) == 75
    assert min(lengths) == 25
    padded = [dataset.sample_padded(np.random.default_rng(at)) for at in range(20)]
    assert {one["audio_mel"].shape for one in padded} == {(300, 80)}
    for one in padded:
        real = 4 * int(one["audio_frames"])
        assert np.all(one["audio_mel"][real:] == np.log(np.float32(1e-5)))
        assert one["audio_mel"][:real].std() > 0.5


def test_files_that_become_unreadable_are_logged_once_and_skipped(folder: Path, tmp_path: Path) -> None:
    dataset, messages = folder_dataset(folder, tmp_path / "lists")
    broken = folder / "voice1" / "01.wav"
    broken.write_bytes(b"gone")
    at = next(at for at in range(len(dataset.index)) if dataset.index[at].path == broken)
    items = [dataset.load(at, np.random.default_rng(0)) for _ in range(3)]
    next_segment = dataset.load((at + 1) % len(dataset.index), np.random.default_rng(0))
    np.testing.assert_array_equal(items[0].sequences["mel"], next_segment.sequences["mel"])
    assert len(messages) == 1
    assert "01.wav" in messages[0]


def test_silence_is_skipped_without_a_message(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "silence.wav", np.zeros(RATE), RATE)
    dataset, messages = folder_dataset(tmp_path / "audio", tmp_path / "lists")
    with pytest.raises(F2VError, match=r"segments in a row of .* are unreadable or silent"):
        dataset.load(0, np.random.default_rng(0))
    assert messages == []


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    """A second of a file of five minutes needs the memory of a second."""
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "book.flac", np.tile(babble(10.0), 30), RATE)
    dataset, _ = folder_dataset(tmp_path / "audio", tmp_path / "lists")
    assert len(dataset.index) == 300
    dataset.load(0, np.random.default_rng(0))
    tracemalloc.start()
    for at in range(0, 300, 20):
        dataset.load(at, np.random.default_rng(at))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000, "five minutes would be 19 MB"


def test_clips_are_cut_into_segments(tmp_path: Path) -> None:
    clips = ClipDataset(toy_prepared(tmp_path, [20, 6]))
    dataset = ClipAudioDataset(clips, RATE, 8)
    assert list(dataset.groups) == [2]
    firsts = set()
    for draw in range(20):
        item = dataset.load(0, np.random.default_rng(draw))
        assert {name: len(one) for name, one in item.sequences.items()} == {"mel": 32, "audio": 5120, "f0": 32}
        (first,) = (at for at in range(13) if np.array_equal(clips[0].mel[4 * at : 4 * at + 32], item.sequences["mel"]))
        np.testing.assert_array_equal(item.sequences["f0"], clips[0].f0[4 * first : 4 * first + 32])
        np.testing.assert_array_equal(
            item.sequences["audio"], clip_audio_features(clips, 0, RATE)["audio"][640 * first : 640 * first + 5120]
        )
        firsts.add(first)
    assert len(firsts) > 5
    assert dataset.load(1, np.random.default_rng(0)).frames == 6
    assert set(ClipAudioDataset(clips, None, 8).load(0, np.random.default_rng(0)).sequences) == {"mel"}


def test_dio_f0_follows_a_gliding_voice() -> None:
    """On the grid of the protocol's F0: frame i is centered on sample 160 i."""
    real = torch.linspace(110, 190, 200)[None]
    speech = functional.avg_pool1d(0.1 * pulse_train(real), 5, 1, 2)[0].numpy()
    found = dio_f0(np.concatenate([speech, np.zeros(6400, np.float32)]))
    assert found.shape == (240,)
    assert np.median(np.abs(found[:200] - real[0].numpy())) < 1
    assert (found[210:] == 0).all()
