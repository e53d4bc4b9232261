from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2v_bench import media
from f2v_bench.clip import Clip
from tests.clips import RATE, babble, tone, write_clip, write_timed_video


@pytest.mark.parametrize("start", [0.0, 0.2, -0.2])
def test_clip_audio_lies_on_the_clock_of_its_video(tmp_path: Path, start: float) -> None:
    path = tmp_path / "v.mkv"
    sound = babble(1.0)
    write_timed_video(path, [0.5 + n / 25 for n in range(25)], sound, 0.5 + start)
    clip = Clip("a/b", "a", path, path, None, "test")
    samples = media.clip_audio(clip, RATE).samples
    expected = media.pad_or_trim(sound, round(start * RATE), RATE)
    assert len(samples) == RATE
    np.testing.assert_allclose(samples, expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5])
def test_clip_audio_is_as_long_as_its_video(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "v.mkv"
    write_timed_video(path, [n / 25 for n in range(25)], tone(seconds))
    samples = media.clip_audio(Clip("a/b", "a", path, path, None, "test"), RATE).samples
    assert len(samples) == RATE
    assert np.abs(samples[round(seconds * RATE) :]).max(initial=0) == 0
    assert np.abs(samples[: round(min(seconds, 1) * RATE)]).max() > 0.25


def test_mp4_keeps_audio_and_video_in_sync(tmp_path: Path) -> None:
    sound = np.zeros(RATE, np.float32)
    sound[RATE // 2 : RATE // 2 + 400] = 0.5
    clip = write_clip(tmp_path / "s" / "click.mp4", samples=sound)
    audio = np.abs(media.clip_audio(clip, RATE).samples)
    assert abs(int(np.argmax(audio > 0.2)) - RATE // 2) < 32  # 2 ms: the priming samples of the encoder are removed
