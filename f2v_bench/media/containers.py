"""Media containers opened by FFmpeg, their streams, and encoding of an audio track."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind

if TYPE_CHECKING:
    import av.container

AUDIO_BIT_RATE = 96_000


@contextmanager
def open_container(path: Path, unreadable: FailureKind) -> Iterator[av.container.InputContainer]:
    """Open a file with FFmpeg and turn its errors into a ClipFailure."""
    import av

    if not path.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{path}' is not a file")
    if path.stat().st_size == 0:
        raise ClipFailure(unreadable, f"'{path}' is empty (0 bytes)")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise ClipFailure(unreadable, f"'{path}' cannot be decoded: {error.strerror}") from error


def video_stream(container: av.container.InputContainer, path: Path) -> Any:
    """Return the first video stream, without the cover pictures of music files.

    Raises:
        ClipFailure: ``no_video``.
    """
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise ClipFailure(FailureKind.NO_VIDEO, f"'{path}' has no video stream")
    stream = streams[0]
    stream.thread_type = "AUTO"
    return stream


def audio_stream(container: av.container.InputContainer, path: Path) -> Any:
    """Return the first audio track.

    Raises:
        ClipFailure: ``no_audio``.
    """
    if not container.streams.audio:
        raise ClipFailure(FailureKind.NO_AUDIO, f"'{path}' has no audio track")
    return container.streams.audio[0]


def encode_audio_track(container: av.container.OutputContainer, stream: Any, audio: Waveform) -> None:
    """Encode ``audio``, clipped to [-1, 1], into a stream of the same rate, from time 0."""
    import av

    block = av.AudioFrame.from_ndarray(np.clip(audio.samples, -1, 1)[None], format="fltp", layout="mono")
    block.sample_rate = audio.sample_rate
    block.pts = 0  # without it the priming samples of the encoder would not be marked, and would delay the audio
    block.time_base = Fraction(1, audio.sample_rate)
    container.mux(stream.encode(block))
    container.mux(stream.encode(None))
