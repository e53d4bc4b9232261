from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f2v_bench import media
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import FailureKind
from tests.clips import RATE, babble, number_of, tone, write_clip, write_timed_video
from tests.media.failures import kind_of


@pytest.mark.parametrize(
    ("times", "indices"),
    [
        ([n / 25 for n in range(5)], [0, 1, 2, 3, 4]),
        ([n / 50 for n in range(10)], [0, 2, 4, 6, 8]),
        # ticks at 0, 40, 80, ... ms show the last frame that starts up to half a tick later
        ([n / 30 for n in range(6)], [0, 1, 2, 4, 5]),
        ([n / 12.5 for n in range(3)], [0, 0, 1, 1, 2, 2]),
        # variable rate: the second frame is held for 200 ms
        ([0.0, 0.04, 0.24, 0.28], [0, 1, 1, 1, 1, 1, 2, 3]),
        # the clock starts with the first frame, whatever the first timestamp
        ([1.0, 1.04, 1.08], [0, 1, 2]),
    ],
)
def test_any_frame_rate_is_resampled_to_25_fps(tmp_path: Path, times: list[float], indices: list[int]) -> None:
    path = tmp_path / "v.mkv"
    write_timed_video(path, times)
    assert [number_of(frame) for frame in media.iter_frames(path)] == indices
    assert media.video_info(path).frames == len(indices)


def test_read_video_gives_rgb_frames(tmp_path: Path) -> None:
    red = np.zeros((64, 80, 3), np.uint8)
    red[..., 0] = 200
    media.write_video(tmp_path / "red.mp4", [red] * 3)
    frames = media.read_video(tmp_path / "red.mp4")
    assert frames.shape == (3, 64, 80, 3)
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - red).max() < 12


def test_write_video_is_deterministic(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 80, 3), np.uint8) for _ in range(10)]
    for name in ("a.mp4", "b.mp4"):
        media.write_video(tmp_path / name, frames, Waveform(babble(0.4), RATE))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_failure_kinds_of_video(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    good = tmp_path / "s" / "good.mp4"
    write_clip(good)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    wav = tmp_path / "speech.wav"
    soundfile.write(wav, tone(0.5), RATE)
    assert kind_of(media.video_info, tmp_path / "none.mp4") is FailureKind.FILE_MISSING
    assert kind_of(media.video_info, empty) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, cut) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, noise) is FailureKind.UNREADABLE_VIDEO
    assert kind_of(media.read_video, wav) is FailureKind.NO_VIDEO


def test_file_names_may_have_any_character(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "s" / "a.mp4").video
    odd = tmp_path / 'it\'s a "näme" 你好 %d.mp4'
    shutil.copy(source, odd)
    assert media.video_info(odd).frames == 25


def test_grid_as_published(shared: Path) -> None:
    path = shared / "data/grid/original/s1/bbaf2n.mpg"
    info = media.video_info(path)
    assert (info.frames, info.width, info.height, info.has_audio) == (75, 360, 288, True)
    assert media.read_video(path).shape == (75, 288, 360, 3)
    clip = Clip("s1/bbaf2n", "s1", path, path, None, "test")
    assert len(media.clip_audio(clip, RATE).samples) == 48_000


def test_grid_clip_of_74_frames(shared: Path) -> None:
    path = shared / "data/grid/s1/lrae3s.mkv"
    assert media.video_info(path).frames == 74 == len(media.read_video(path))
