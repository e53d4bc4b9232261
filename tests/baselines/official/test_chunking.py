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
def test_pieces_cover_a_clip_and_come_together_again(frames: int, longest: int) -> None:
    pieces = split_frames("a/1", "test/c00000", frames, longest)
    assert max(piece.frames for piece in pieces) <= longest
    assert len({piece.name for piece in pieces}) == len(pieces)
    whole = np.arange(frames, dtype=np.float32).repeat(SAMPLES_PER_VIDEO_FRAME)
    back = join_chunks(
        pieces, lambda piece: whole[SAMPLES_PER_VIDEO_FRAME * piece.first : SAMPLES_PER_VIDEO_FRAME * piece.end]
    )
    assert back.shape == whole.shape
    assert np.allclose(back, whole, atol=1e-3)


def test_one_piece_fades_into_the_next() -> None:
    pieces = split_frames("a/1", "test/c00000", 30, 20)
    assert [(piece.first, piece.end) for piece in pieces] == [(0, 20), (10, 30)]
    back = join_chunks(pieces, lambda piece: np.full(SAMPLES_PER_VIDEO_FRAME * 20, float(piece.first > 0), np.float32))
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
def test_speech_that_is_none_gets_a_kind(
    tmp_path: Path, samples: np.ndarray[tuple[int], np.dtype[np.float32]], rate: int, kind: FailureKind
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(ClipFailure) as failure:
        checked_speech(path, 10)
    assert failure.value.kind is kind
