from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from baselines.official.chunking import OVERLAP, SAMPLES_PER_VIDEO_FRAME, checked_speech, join_chunks, split_frames
from f2v_bench.errors import ClipFailure, FailureKind
from tests.clips import RATE, tone


@given(frames=st.integers(1, 400), longest=st.integers(OVERLAP + 1, 90))
def test_chunks_cover_a_clip_and_join_again(frames: int, longest: int) -> None:
    chunks = split_frames("a/1", "test/c00000", frames, longest)
    assert max(chunk.frames for chunk in chunks) <= longest
    assert len({chunk.name for chunk in chunks}) == len(chunks)
    whole = np.arange(frames, dtype=np.float32).repeat(SAMPLES_PER_VIDEO_FRAME)
    back = join_chunks(
        chunks, lambda chunk: whole[SAMPLES_PER_VIDEO_FRAME * chunk.first : SAMPLES_PER_VIDEO_FRAME * chunk.end]
    )
    assert back.shape == whole.shape
    assert np.allclose(back, whole, atol=1e-3)


def test_adjacent_chunks_are_cross_faded() -> None:
    chunks = split_frames("a/1", "test/c00000", 30, 20)
    assert [(chunk.first, chunk.end) for chunk in chunks] == [(0, 20), (10, 30)]
    back = join_chunks(chunks, lambda chunk: np.full(SAMPLES_PER_VIDEO_FRAME * 20, float(chunk.first > 0), np.float32))
    assert np.ptp(back[: SAMPLES_PER_VIDEO_FRAME * 10]) == np.ptp(back[SAMPLES_PER_VIDEO_FRAME * 20 :]) == 0
    assert (np.diff(back) >= -1e-6).all()


@pytest.mark.parametrize(
    ("extra", "ok"), [(-640, True), (0, True), (320, True), (640, True), (-641, False), (700, False)]
)
def test_speech_may_be_a_frame_off_and_is_made_exact(tmp_path: Path, extra: int, ok: bool) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone((6400 + extra) / RATE), RATE)
    if ok:
        assert checked_speech(path, 10).shape == (6400,)
    else:
        with pytest.raises(ClipFailure, match=f"{6400 + extra} samples for 10 frames, which last 6400"):
            checked_speech(path, 10)


@pytest.mark.parametrize(
    ("samples", "rate", "kind"),
    [
        (tone(0.4), 22_050, FailureKind.UNREADABLE_AUDIO),
        (np.zeros(6400, np.float32), RATE, FailureKind.SILENT),
        (np.full(6400, np.nan, np.float32), RATE, FailureKind.NOT_FINITE),
        (np.zeros(0, np.float32), RATE, FailureKind.EMPTY_AUDIO),
    ],
)
def test_invalid_speech_fails_with_a_kind(
    tmp_path: Path, samples: np.ndarray[tuple[int], np.dtype[np.float32]], rate: int, kind: FailureKind
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(ClipFailure) as failure:
        checked_speech(path, 10)
    assert failure.value.kind is kind
