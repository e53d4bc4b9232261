from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure
from f2v_bench.systems.speaker_reference import pick_reference_clip, reference_audio
from tests.clips import RATE, write_clip


def make_clip(name: str) -> Clip:
    return Clip(name, name.split("/", maxsplit=1)[0], Path(f"{name}.mp4"), None, None, "test")


def test_another_clip_of_the_speaker_is_drawn_by_seed_and_clip() -> None:
    clips = [make_clip(f"{speaker}/{number}") for speaker in ("ann", "bob") for number in range(6)]
    drawn = [[pick_reference_clip(clips, clip, seed) for clip in clips] for seed in range(8)]
    for found in drawn:
        assert all(one.speaker == clip.speaker and one.id != clip.id for one, clip in zip(found, clips, strict=True))
    assert len({tuple(one.id for one in found) for found in drawn}) == 8
    assert [pick_reference_clip(clips[:6][::-1], clip, 0).speaker for clip in clips[:6]] == ["ann"] * 6
    with pytest.raises(ClipFailure, match="no clip beside 'eve/0'"):
        pick_reference_clip(clips, make_clip("eve/0"), 0)


def test_real_speech_is_as_long_as_the_video_and_not_silent(tmp_path: Path) -> None:
    assert reference_audio(write_clip(tmp_path / "a/1.mp4", 0.6), RATE).shape == (9600,)
    silent = write_clip(tmp_path / "a/2.mp4", 0.6, samples=np.zeros(9600, np.float32))
    with pytest.raises(ClipFailure, match=r"silent: .*cannot be the speaker reference"):
        reference_audio(silent, RATE)
    with pytest.raises(ClipFailure, match="no_audio"):
        reference_audio(make_clip("a/3"), RATE)
