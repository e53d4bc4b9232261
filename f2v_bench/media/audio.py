"""Reading and writing of audio files: mono float32 in [-1, 1] at the requested sample rate."""

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
from f2v_bench.media.containers import audio_stream, open_container

RESAMPLER = "soxr-hq"  # part of signatures: the resampler changes scores
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000  # Hz
_SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac"})
_AUDIO_SUFFIXES = _SOUNDFILE_SUFFIXES | {".ogg", ".opus", ".mp3", ".m4a", ".aac"}
_BEFORE_S = 0.2  # decoded before a segment: packets of some codecs depend on earlier ones


def is_audio_name(path: Path) -> bool:
    """Return whether the suffix is one of a file with audio alone."""
    return path.suffix.lower() in _AUDIO_SUFFIXES


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """Resample float32 ``(n,)`` from ``rate_in`` to ``rate_out`` (Hz) with soxr HQ."""
    if rate_in == rate_out or not len(samples):
        return samples
    out: NDArray[np.float32] = soxr.resample(samples, rate_in, rate_out, quality="HQ")
    return out


def read_audio(path: Path, sample_rate: int | None = None) -> Waveform:
    """Read a file as mono float32, on the clock of its audio.

    Args:
        path: WAV, FLAC, or any file that FFmpeg reads; the first audio track of a video.
        sample_rate: target sample rate in Hz; None keeps the rate of the file.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_audio``, ``no_audio``, ``empty_audio`` or ``not_finite``.
    """
    read = _read_soundfile if path.suffix.lower() in _SOUNDFILE_SUFFIXES else read_track
    channels, rate, _ = read(path)
    return as_mono(path, channels, rate, sample_rate)


def audio_duration_s(path: Path) -> float:
    """Return the duration in seconds that the header of an audio file states, without decoding it.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_audio``, ``no_audio``; ``empty_audio`` where none is stated.
    """
    if path.suffix.lower() in _SOUNDFILE_SUFFIXES:
        with _open_soundfile(path) as file:
            seconds = float(file.frames / file.samplerate)
    else:
        with open_container(path, FailureKind.UNREADABLE_AUDIO) as container:
            stream = audio_stream(container, path)
            own = stream.duration * stream.time_base if stream.duration else None
            seconds = float(own if own is not None else (container.duration or 0) / 1_000_000)
    if seconds <= 0:
        raise ClipFailure(FailureKind.EMPTY_AUDIO, f"'{path}' states a duration of {seconds:g} s")
    return seconds


def read_audio_segment(path: Path, start_s: float, duration_s: float, sample_rate: int) -> Waveform:
    """Read a segment of an audio file as mono float32, without decoding the rest.

    Args:
        path: audio file, as in ``read_audio``.
        start_s: start of the segment in seconds; exact up to a packet in compressed files.
        duration_s: duration of the segment in seconds; shorter where the file ends earlier.
        sample_rate: target sample rate in Hz.

    Raises:
        ClipFailure: as ``read_audio``; ``empty_audio`` where the file ends before the segment.
    """
    if path.suffix.lower() in _SOUNDFILE_SUFFIXES:
        with _open_soundfile(path) as file:
            rate = int(file.samplerate)
            file.seek(min(round(start_s * rate), file.frames))
            channels = file.read(round(duration_s * rate), dtype="float32", always_2d=True).T
    else:
        channels, rate = _decode_segment(path, start_s, duration_s)
    return as_mono(path, channels, rate, sample_rate)


@contextmanager
def _open_soundfile(path: Path) -> Iterator[Any]:
    """Open a file with libsndfile and turn its errors into a ClipFailure."""
    if not path.is_file():
        raise ClipFailure(FailureKind.FILE_MISSING, f"'{path}' is not a file")
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.SoundFileError, ValueError, OverflowError, MemoryError) as error:
        raise ClipFailure(FailureKind.UNREADABLE_AUDIO, f"'{path}' cannot be decoded: {error}") from error


def _decode_segment(path: Path, start_s: float, duration_s: float) -> tuple[NDArray[np.float32], int]:
    """Return samples ``(channels, n)`` of the first audio track from the packet of the start on, and their rate."""
    import av

    blocks: list[NDArray[Any]] = []
    rate = decoded = 0
    with open_container(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = audio_stream(container, path)
        container.seek(max(0, int((start_s - _BEFORE_S) * 1_000_000)))
        to_float = av.AudioResampler(format="fltp")  # keeps rate and channels
        for frame in container.decode(stream):
            rate = frame.sample_rate
            if frame.time is None or frame.time + frame.samples / rate > start_s:
                blocks += [out.to_ndarray() for out in to_float.resample(frame)]
                decoded += frame.samples
            if decoded >= duration_s * rate:
                break
    if not blocks:
        raise ClipFailure(FailureKind.EMPTY_AUDIO, f"'{path}' ends before {start_s:g} s")
    channels = np.concatenate(blocks, axis=1).astype(np.float32, copy=False)
    return channels[:, : round(duration_s * rate)], int(rate)


def as_mono(path: Path, channels: NDArray[np.float32], rate: int, sample_rate: int | None) -> Waveform:
    """Average channels ``(C, n)`` and resample them where ``sample_rate`` is given.

    Raises:
        ClipFailure: ``unreadable_audio`` where the file states an impossible rate, ``empty_audio``, ``not_finite``.
    """
    if (
        not _LOWEST_RATE <= rate <= _HIGHEST_RATE
    ):  # a broken header: resampling would fill the memory or leave no sample
        raise ClipFailure(FailureKind.UNREADABLE_AUDIO, f"'{path}' states a sample rate of {rate} Hz")
    mono = Waveform(np.ascontiguousarray(channels.mean(axis=0, dtype=np.float32)), rate).validate(f"'{path}'")
    target = sample_rate or rate
    return Waveform(resample(mono.samples, rate, target), target).validate(f"'{path}' at {target} Hz")


def _read_soundfile(path: Path) -> tuple[NDArray[np.float32], int, float]:
    with _open_soundfile(path) as file:
        return file.read(dtype="float32", always_2d=True).T, int(file.samplerate), 0.0


def read_track(path: Path) -> tuple[NDArray[np.float32], int, float]:
    """Return the first audio track ``(channels, n)``, its rate, and the time of its first sample in seconds."""
    import av

    with open_container(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = audio_stream(container, path)
        to_float = av.AudioResampler(format="fltp")  # keeps rate and channels
        blocks: list[NDArray[Any]] = []
        rate = 0
        start_s: float | None = None
        for frame in container.decode(stream):
            rate = frame.sample_rate
            if start_s is None:  # of the decoded audio: times of packets include the priming samples of the codec
                start_s = float(frame.time or 0.0)
            blocks += [out.to_ndarray() for out in to_float.resample(frame)]
        if not blocks:
            raise ClipFailure(FailureKind.EMPTY_AUDIO, f"the audio track of '{path}' has no samples")
        blocks += [out.to_ndarray() for out in to_float.resample(None)]
    return np.concatenate(blocks, axis=1).astype(np.float32, copy=False), int(rate), start_s or 0.0


def write_audio(path: Path, waveform: Waveform) -> int:
    """Write FLAC or WAV with 24 bits, completely or not at all.

    Returns:
        Number of samples outside [-1, 1], which were clipped.
    """
    clipped = int(np.count_nonzero(np.abs(waveform.samples) > 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    soundfile.write(part, np.clip(waveform.samples, -1, 1), waveform.sample_rate, subtype="PCM_24")
    part.replace(path)
    return clipped
