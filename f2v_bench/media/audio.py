"""Sound: files, or pieces of them, as mono float32 in [-1, 1] at the rate asked for, and files written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media.containers import audio_stream, opened

RESAMPLER = "soxr-hq"  # named in signatures: the resampler moves scores
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000  # Hz
_SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac"})
_AUDIO_SUFFIXES = _SOUNDFILE_SUFFIXES | {".ogg", ".opus", ".mp3", ".m4a", ".aac"}
_BEFORE_S = 0.2  # decoded before a piece: packets of some codecs lean on those before them


def is_audio_name(path: Path) -> bool:
    """Whether the file's name says that it is audio alone."""
    return path.suffix.lower() in _AUDIO_SUFFIXES


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """float32 ``(n,)`` at ``rate_in`` to ``rate_out``, soxr HQ."""
    if rate_in == rate_out or not len(samples):
        return samples
    out: NDArray[np.float32] = soxr.resample(samples, rate_in, rate_out, quality="HQ")
    return out


def read_audio(path: Path, sample_rate: int | None = None) -> Waveform:
    """The audio of any file as mono float32, on the audio's own clock.

    Args:
        path: a WAV, FLAC, or whatever FFmpeg reads; of a video, the first audio track.
        sample_rate: the rate wanted; None keeps the file's.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_audio``, ``no_audio``, ``empty_audio`` or ``not_finite``.
    """
    read = _read_soundfile if path.suffix.lower() in _SOUNDFILE_SUFFIXES else read_track
    channels, rate, _ = read(path)
    return as_mono(path, channels, rate, sample_rate)


def audio_duration_s(path: Path) -> float:
    """Seconds that an audio file says it lasts, without decoding it.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_audio``, ``no_audio``; ``empty_audio`` where it says nothing.
    """
    if path.suffix.lower() in _SOUNDFILE_SUFFIXES:
        with _opened_soundfile(path) as file:
            seconds = float(file.frames / file.samplerate)
    else:
        with opened(path, FailureKind.UNREADABLE_AUDIO) as container:
            stream = audio_stream(container, path)
            own = stream.duration * stream.time_base if stream.duration else None
            seconds = float(own if own is not None else (container.duration or 0) / 1_000_000)
    if seconds <= 0:
        raise ClipFailure(FailureKind.EMPTY_AUDIO, f"'{path}' says that it lasts {seconds:g} s")
    return seconds


def read_audio_piece(path: Path, start_s: float, duration_s: float, sample_rate: int) -> Waveform:
    """A piece of an audio file as mono float32; no more of the file than that is decoded or kept.

    Args:
        path: as ``read_audio``.
        start_s: where the piece begins, in seconds of the file; compressed files are met within a packet.
        duration_s: of the piece; less comes where the file ends before.
        sample_rate: the rate wanted.

    Raises:
        ClipFailure: as ``read_audio``; ``empty_audio`` where the file ends before the piece begins.
    """
    if path.suffix.lower() in _SOUNDFILE_SUFFIXES:
        with _opened_soundfile(path) as file:
            rate = int(file.samplerate)
            file.seek(min(round(start_s * rate), file.frames))
            channels = file.read(round(duration_s * rate), dtype="float32", always_2d=True).T
    else:
        channels, rate = _decoded_piece(path, start_s, duration_s)
    return as_mono(path, channels, rate, sample_rate)


@contextmanager
def _opened_soundfile(path: Path) -> Iterator[Any]:
    """The file opened by libsndfile; whatever it cannot read becomes a ClipFailure."""
    if not path.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{path}' is not a file")
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.SoundFileError, ValueError, OverflowError, MemoryError) as error:
        raise ClipFailure(FailureKind.UNREADABLE_AUDIO, f"'{path}' cannot be decoded: {error}") from error


def _decoded_piece(path: Path, start_s: float, duration_s: float) -> tuple[NDArray[np.float32], int]:
    """Samples ``(channels, n)`` of the first audio track, from the packet that holds the start, and their rate."""
    import av

    pieces: list[NDArray[Any]] = []
    rate = have = 0
    with opened(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = audio_stream(container, path)
        container.seek(max(0, int((start_s - _BEFORE_S) * 1_000_000)))
        to_float = av.AudioResampler(format="fltp")  # keeps rate and channels; the mean over channels is ours
        for frame in container.decode(stream):
            rate = frame.sample_rate
            if frame.time is None or frame.time + frame.samples / rate > start_s:
                pieces += [out.to_ndarray() for out in to_float.resample(frame)]
                have += frame.samples
            if have >= duration_s * rate:
                break
    if not pieces:
        raise ClipFailure(FailureKind.EMPTY_AUDIO, f"'{path}' ends before {start_s:g} s")
    channels = np.concatenate(pieces, axis=1).astype(np.float32, copy=False)
    return channels[:, : round(duration_s * rate)], int(rate)


def as_mono(path: Path, channels: NDArray[np.float32], rate: int, sample_rate: int | None) -> Waveform:
    """The mean of channels ``(C, n)``, resampled where a rate is wanted.

    Raises:
        ClipFailure: ``unreadable_audio`` where the file states a rate that cannot be, ``empty_audio``, ``not_finite``.
    """
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:  # a broken header: resampling would take all memory, or all sound
        raise ClipFailure(FailureKind.UNREADABLE_AUDIO, f"'{path}' says that its sample rate is {rate} Hz")
    mono = Waveform(np.ascontiguousarray(channels.mean(axis=0, dtype=np.float32)), rate).validate(f"'{path}'")
    wanted = sample_rate or rate
    return Waveform(resample(mono.samples, rate, wanted), wanted).validate(f"'{path}' at {wanted} Hz")


def _read_soundfile(path: Path) -> tuple[NDArray[np.float32], int, float]:
    with _opened_soundfile(path) as file:
        return file.read(dtype="float32", always_2d=True).T, int(file.samplerate), 0.0


def read_track(path: Path) -> tuple[NDArray[np.float32], int, float]:
    """First audio track ``(channels, n)``, its rate, and when its first sample sounds on the file's clock."""
    import av

    with opened(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = audio_stream(container, path)
        to_float = av.AudioResampler(format="fltp")  # keeps rate and channels; the mean over channels is ours
        pieces: list[NDArray[Any]] = []
        rate = 0
        start_s: float | None = None
        for frame in container.decode(stream):
            rate = frame.sample_rate
            if start_s is None:  # of the decoded sound: packets still count the codec's priming samples
                start_s = float(frame.time or 0.0)
            pieces += [out.to_ndarray() for out in to_float.resample(frame)]
        if not pieces:
            raise ClipFailure(FailureKind.EMPTY_AUDIO, f"the audio track of '{path}' has no samples")
        pieces += [out.to_ndarray() for out in to_float.resample(None)]
    return np.concatenate(pieces, axis=1).astype(np.float32, copy=False), int(rate), start_s or 0.0


def write_audio(path: Path, waveform: Waveform) -> int:
    """Write FLAC or WAV with 24 bits, whole or not at all (a temporary file is renamed).

    Returns:
        How many samples lay outside [-1, 1] and were clipped.
    """
    clipped = int(np.count_nonzero(np.abs(waveform.samples) > 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    soundfile.write(part, np.clip(waveform.samples, -1, 1), waveform.sample_rate, subtype="PCM_24")
    part.replace(path)
    return clipped
