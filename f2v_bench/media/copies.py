"""Copies of a video without its sound or with another one: the picture is moved packet by packet, never encoded."""

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
from f2v_bench.media.containers import AUDIO_BIT_RATE, encode_sound, opened, video_stream

if TYPE_CHECKING:
    import av.container

#: FFmpeg's format, and the codec of the sound, of the videos that ``copy_with_sound`` writes
_WITH_SOUND = {".mp4": ("mp4", "aac"), ".m4v": ("mp4", "aac"), ".mov": ("mov", "aac"), ".mkv": ("matroska", "flac")}
_ANY_RATE = 48_000  # Hz, which every codec takes


def copy_silent(source: Path, target: Path) -> None:
    """Copy the video stream of ``source`` into ``target`` (``.mp4`` or ``.mkv``), bit by bit and without its sound.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    import av

    target.parent.mkdir(parents=True, exist_ok=True)
    with opened(source, FailureKind.UNREADABLE_VIDEO) as container, av.open(str(target), "w") as out:
        stream = video_stream(container, source)
        copy = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:  # the last, empty packet only flushes
                packet.stream = copy
                out.mux(packet)


def check_copy_with_sound(source: Path, target: Path) -> None:
    """Check in a moment that ``copy_with_sound`` can write the picture of ``source`` into ``target``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
        F2VError: the name says no container that is written here, or one that does not take this picture as it is.
    """
    import av

    if target.suffix.lower() not in _WITH_SOUND:
        raise F2VError(
            f"'{target}' does not end in one of {', '.join(_WITH_SOUND)}",
            "these are the videos that are written here; .mkv takes any codec",
        )
    form, _ = _WITH_SOUND[target.suffix.lower()]
    with closing(_packets_from_zero(source)) as packets:
        first = next(packets)
        stream = first.stream
        if first.is_discard and form == "matroska":
            raise F2VError(
                f"'{source}' was trimmed by hiding frames before its start, and {target.suffix} cannot hide them",
                "write .mp4 or .mov, which can",
            )
        try:
            with av.open(BytesIO(), "w", format=form) as trial:
                trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise F2VError(
                f"a {target.suffix} file cannot hold the picture of '{source}' ({stream.codec_context.name}) as it is",
                "write .mkv, which takes any codec",
            ) from error


def copy_with_sound(source: Path, target: Path, audio: Waveform) -> None:
    """Write a copy of a video with another sound, whole or not at all.

    The picture is copied packet by packet, not encoded again: every frame and every step in time stays as it is, at
    any frame rate. Only the origin moves: the first frame that can be decoded shows at time 0, where the sound starts
    too. Other tracks of ``source`` (its own sound, subtitles) are left behind.

    Args:
        source: any video.
        target: ends in ``.mp4``, ``.m4v`` or ``.mov`` (AAC, 96 kbit/s) or ``.mkv`` (FLAC, 16 bits).
        audio: starts with the first frame, at any rate; what lies outside [-1, 1] is clipped.

    Raises:
        ClipFailure: as ``check_copy_with_sound``.
        F2VError: as ``check_copy_with_sound``; or the file cannot be written.
    """
    import av

    check_copy_with_sound(source, target)
    form, codec = _WITH_SOUND[target.suffix.lower()]
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # by default what is muxed first is written first after 10 s; without that limit the tracks come interleaved
        with (
            closing(_packets_from_zero(source)) as packets,
            av.open(str(part), "w", format=form, options={"max_interleave_delta": "0"}) as out,
        ):
            first = next(packets)
            picture = out.add_stream_from_template(first.stream, opaque=True)
            picture.time_base = first.stream.time_base
            _add_sound(out, codec, audio)
            for packet in chain([first], packets):
                packet.stream = picture
                out.mux(packet)
        part.replace(target)
    except (OSError, av.FFmpegError) as error:  # in writing: what cannot be read is a ClipFailure by now
        raise F2VError(
            f"'{target}' cannot be written: {error.strerror}", "free space, or name another place"
        ) from error
    finally:
        if part.exists():
            part.unlink()


def _add_sound(out: av.container.OutputContainer, codec: str, audio: Waveform) -> None:
    import av

    rates = av.Codec(codec, "w").audio_rates
    if rates and audio.sample_rate not in rates:
        audio = Waveform(resample(audio.samples, audio.sample_rate, _ANY_RATE), _ANY_RATE)
    stream: Any = out.add_stream(codec, rate=audio.sample_rate, layout="mono")
    if codec == "aac":
        stream.bit_rate = AUDIO_BIT_RATE
    encode_sound(out, stream, audio)


def _packets_from_zero(path: Path) -> Generator[Any, None, None]:
    """The packets of a video stream, on a clock that starts with the first frame that can be decoded.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        shown = next(container.decode(video_stream(container, path)), None)
    if shown is None:
        raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has no frame that can be decoded")
    # opened anew: going back to the start loses packets in some formats
    with opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        before: int | None = None
        for packet in container.demux(video_stream(container, path)):
            if not packet.size:  # the last one only flushes
                continue
            if packet.pts is None or shown.pts is None:
                raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has pictures without a time")
            packet.pts -= shown.pts
            stated = None if packet.dts is None else packet.dts - shown.pts
            # containers ask for times of decoding that increase; those of MPEG-1 files begin with the same one twice
            soonest = None if before is None else before + 1
            packet.dts = before = max((dts for dts in (stated, soonest) if dts is not None), default=packet.pts)
            yield packet
