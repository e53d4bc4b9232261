"""Copies of a video with no or another audio track: video packets are copied, never encoded again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media.audio import resample
from f2v_bench.media.containers import AUDIO_BIT_RATE, encode_audio_track, open_container, video_stream

if TYPE_CHECKING:
    import av.container

#: FFmpeg's format and audio codec by suffix of the videos that ``copy_with_audio`` writes
_FORMATS = {".mp4": ("mp4", "aac"), ".m4v": ("mp4", "aac"), ".mov": ("mov", "aac"), ".mkv": ("matroska", "flac")}
_ANY_RATE = 48_000  # Hz, supported by every codec


def copy_silent(source: Path, target: Path) -> None:
    """Copy the video stream of ``source`` into ``target`` (``.mp4`` or ``.mkv``), bit-exact and without audio.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    import av

    target.parent.mkdir(parents=True, exist_ok=True)
    with open_container(source, FailureKind.UNREADABLE_VIDEO) as container, av.open(str(target), "w") as out:
        stream = video_stream(container, source)
        copy = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:  # the last, empty packet only flushes
                packet.stream = copy
                out.mux(packet)


def check_copy_with_audio(source: Path, target: Path) -> None:
    """Check quickly that ``copy_with_audio`` can write the video of ``source`` into ``target``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
        F2VError: the suffix is no supported container, or the container does not support this video codec.
    """
    import av

    if target.suffix.lower() not in _FORMATS:
        raise F2VError(
            f"'{target}' does not end in one of {', '.join(_FORMATS)}",
            "choose one of these suffixes; .mkv supports any codec",
        )
    form, _ = _FORMATS[target.suffix.lower()]
    with closing(_packets_from_zero(source)) as packets:
        first = next(packets)
        stream = first.stream
        if first.is_discard and form == "matroska":
            raise F2VError(
                f"'{source}' was trimmed by hiding frames before its start, which {target.suffix} does not support",
                "write .mp4 or .mov",
            )
        try:
            with av.open(BytesIO(), "w", format=form) as trial:
                trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise F2VError(
                f"a {target.suffix} file cannot hold the video of '{source}' ({stream.codec_context.name}) as it is",
                "write .mkv, which supports any codec",
            ) from error


def copy_with_audio(source: Path, target: Path, audio: Waveform) -> None:
    """Write a copy of a video with another audio track, completely or not at all.

    Video packets are copied, not encoded again: all frames and intervals stay the same, at any frame rate. Only the
    origin moves: the first decodable frame is shown at time 0, where the audio starts, too. Other tracks of ``source``
    (its own audio, subtitles) are dropped.

    Args:
        source: video file.
        target: file with suffix ``.mp4``, ``.m4v`` or ``.mov`` (AAC, 96 kbit/s) or ``.mkv`` (FLAC, 16 bits).
        audio: waveform that starts with the first frame, at any rate; clipped to [-1, 1].

    Raises:
        ClipFailure: as ``check_copy_with_audio``.
        F2VError: as ``check_copy_with_audio``; or the file is not writable.
    """
    import av

    check_copy_with_audio(source, target)
    form, codec = _FORMATS[target.suffix.lower()]
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # without this limit (10 s) the tracks are interleaved at any length
        with (
            closing(_packets_from_zero(source)) as packets,
            av.open(str(part), "w", format=form, options={"max_interleave_delta": "0"}) as out,
        ):
            first = next(packets)
            video = out.add_stream_from_template(first.stream, opaque=True)
            video.time_base = first.stream.time_base
            _add_audio(out, codec, audio)
            for packet in chain([first], packets):
                packet.stream = video
                out.mux(packet)
        part.replace(target)
    except (OSError, av.FFmpegError) as error:  # while writing: read errors are ClipFailures
        raise F2VError(
            f"'{target}' cannot be written: {error.strerror}", "free some disk space, or choose another folder"
        ) from error
    finally:
        if part.exists():
            part.unlink()


def _add_audio(out: av.container.OutputContainer, codec: str, audio: Waveform) -> None:
    import av

    rates = av.Codec(codec, "w").audio_rates
    if rates and audio.sample_rate not in rates:
        audio = Waveform(resample(audio.samples, audio.sample_rate, _ANY_RATE), _ANY_RATE)
    stream: Any = out.add_stream(codec, rate=audio.sample_rate, layout="mono")
    if codec == "aac":
        stream.bit_rate = AUDIO_BIT_RATE
    encode_audio_track(out, stream, audio)


def _packets_from_zero(path: Path) -> Generator[Any, None, None]:
    """Yield the packets of a video stream on a clock that starts with the first decodable frame.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with open_container(path, FailureKind.UNREADABLE_VIDEO) as container:
        first_frame = next(container.decode(video_stream(container, path)), None)
    if first_frame is None:
        raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has no frame that can be decoded")
    # opened again: seeking to the start loses packets in some formats
    with open_container(path, FailureKind.UNREADABLE_VIDEO) as container:
        previous: int | None = None
        for packet in container.demux(video_stream(container, path)):
            if not packet.size:  # the last packet only flushes
                continue
            if packet.pts is None or first_frame.pts is None:
                raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has frames without a timestamp")
            packet.pts -= first_frame.pts
            stated = None if packet.dts is None else packet.dts - first_frame.pts
            # containers require increasing decoding times; MPEG-1 files start with two equal ones
            earliest = None if previous is None else previous + 1
            packet.dts = previous = max((dts for dts in (stated, earliest) if dts is not None), default=packet.pts)
            yield packet
