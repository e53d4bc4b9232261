"""Decode and encode video and audio, and resample: the only place that opens media files.

Video leaves here as uint8 RGB ``(T, H, W, 3)`` at 25 frames a second, audio as mono float32 in [-1, 1] at the rate
asked for. The clock of a clip is that of its video: sample 0 of ``clip_audio`` is the moment of frame 0.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from f2v_bench.clip import FPS, Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind

if TYPE_CHECKING:
    import av.container
    from numpy.typing import NDArray

RESAMPLER = "soxr-hq"  # named in signatures: the resampler moves scores
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000  # Hz
_SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac"})
_AUDIO_SUFFIXES = _SOUNDFILE_SUFFIXES | {".ogg", ".opus", ".mp3", ".m4a", ".aac"}
#: FFmpeg's format, and the codec of the sound, of the videos that ``copy_with_sound`` writes
_WITH_SOUND = {".mp4": ("mp4", "aac"), ".m4v": ("mp4", "aac"), ".mov": ("mov", "aac"), ".mkv": ("matroska", "flac")}
_AUDIO_BIT_RATE = 96_000
_BEFORE_S = 0.2  # decoded before a piece: packets of some codecs lean on those before them
_ANY_RATE = 48_000  # Hz, which every codec takes


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file holds, counted from its packets without decoding.

    Attributes:
        frames: frames on the 25 fps clock.
        source_fps: mean rate of the file.
        width, height: pixels, before rotation.
        start_s: when the first frame shows on the file's clock.
        has_audio: whether there is an audio track.
    """

    frames: int
    source_fps: float
    width: int
    height: int
    start_s: float
    has_audio: bool

    @property
    def duration_s(self) -> float:
        return self.frames / FPS


def is_audio_name(path: Path) -> bool:
    """Whether the file's name says that it is audio alone."""
    return path.suffix.lower() in _AUDIO_SUFFIXES


@contextmanager
def _opened(path: Path, unreadable: FailureKind) -> Iterator[av.container.InputContainer]:
    """The file opened by FFmpeg; whatever FFmpeg cannot read becomes a ClipFailure."""
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


def _video_stream(container: av.container.InputContainer, path: Path) -> Any:
    # A cover picture of a music file counts as a video stream for FFmpeg, not for us.
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise ClipFailure(FailureKind.NO_VIDEO, f"'{path}' has no video stream")
    stream = streams[0]
    stream.thread_type = "AUTO"
    return stream


def _on_clock(times: NDArray[np.float64], end: float) -> NDArray[np.int64]:
    """Which source frame shows at each tick of the 25 fps clock.

    Args:
        times: display times in seconds, increasing, ``(n,)``.
        end: when the last frame leaves the screen.

    Returns:
        Indices ``(T,)`` into ``times``: the last frame that began no later than half a tick after the tick.
    """
    ticks = max(1, round((end - times[0]) * FPS))
    at = times[0] + np.arange(ticks) / FPS + 0.5 / FPS - 1e-6
    shown: NDArray[np.int64] = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    return shown


def _last_duration(times: NDArray[np.float64], stated: float | None, rate: float | None) -> float:
    """How long the last frame shows: as the others do, where there are others."""
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return stated or (1 / rate if rate else 1 / FPS)


def video_info(path: Path) -> VideoInfo:
    """Length, rate and size of a video, from its packets (no decoding).

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with _opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        stream = _video_stream(container, path)
        times: list[float] = []
        duration = None
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                times.append(float(packet.pts * packet.time_base))
                duration = float(packet.duration * packet.time_base) if packet.duration else duration
        rate = float(stream.average_rate) if stream.average_rate else None
        if not times:
            raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has a video stream without frames")
        ordered = np.unique(np.array(times))
        end = ordered[-1] + _last_duration(ordered, duration, rate)
        return VideoInfo(
            frames=len(_on_clock(ordered, end)),
            source_fps=float(len(ordered) / (end - ordered[0])) if end > ordered[0] else float(FPS),
            width=stream.width,
            height=stream.height,
            start_s=float(ordered[0]),
            has_audio=bool(container.streams.audio),
        )


def _upright(frame: Any) -> NDArray[np.uint8]:
    """The frame as RGB ``(H, W, 3)``, turned as the file asks (telephones store portrait video lying down)."""
    picture: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def iter_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video, one by one, on the 25 fps clock: long videos need no memory.

    Yields:
        uint8 RGB ``(H, W, 3)``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with _opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        stream = _video_stream(container, path)
        rate = float(stream.average_rate) if stream.average_rate else float(FPS)
        tick = 0
        shown: NDArray[np.uint8] | None = None
        times: list[float] = []
        stated: float | None = None
        for count, frame in enumerate(container.decode(stream)):
            at = float(frame.pts * frame.time_base) if frame.pts is not None else count / rate
            if times and at <= times[-1]:
                continue  # a stream cut out of a longer one may repeat a time
            # every tick before this frame's time (less half a tick) still shows the frame before
            while shown is not None and times[0] + (tick + 0.5) / FPS - 1e-6 < at:
                yield shown
                tick += 1
            shown = _upright(frame)
            times.append(at)
            stated = float(frame.duration * frame.time_base) if frame.duration else stated
        if shown is None:
            raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has no frame that can be decoded")
        end = times[-1] + _last_duration(np.array(times), stated, rate)
        for _ in range(tick, max(1, round((end - times[0]) * FPS))):
            yield shown


def read_video(path: Path) -> NDArray[np.uint8]:
    """All frames of a short video on the 25 fps clock, uint8 RGB ``(T, H, W, 3)``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    return np.stack(list(iter_frames(path)))


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
    read = _read_soundfile if path.suffix.lower() in _SOUNDFILE_SUFFIXES else _read_track
    channels, rate, _ = read(path)
    return _mono(path, channels, rate, sample_rate)


def audio_duration_s(path: Path) -> float:
    """Seconds that an audio file says it lasts, without decoding it.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_audio``, ``no_audio``; ``empty_audio`` where it says nothing.
    """
    if path.suffix.lower() in _SOUNDFILE_SUFFIXES:
        with _opened_soundfile(path) as file:
            seconds = float(file.frames / file.samplerate)
    else:
        with _opened(path, FailureKind.UNREADABLE_AUDIO) as container:
            stream = _audio_stream(container, path)
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
    return _mono(path, channels, rate, sample_rate)


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
    with _opened(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = _audio_stream(container, path)
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


def _audio_stream(container: av.container.InputContainer, path: Path) -> Any:
    if not container.streams.audio:
        raise ClipFailure(FailureKind.NO_AUDIO, f"'{path}' has no audio track")
    return container.streams.audio[0]


def _mono(path: Path, channels: NDArray[np.float32], rate: int, sample_rate: int | None) -> Waveform:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:  # a broken header: resampling would take all memory, or all sound
        raise ClipFailure(FailureKind.UNREADABLE_AUDIO, f"'{path}' says that its sample rate is {rate} Hz")
    mono = Waveform(np.ascontiguousarray(channels.mean(axis=0, dtype=np.float32)), rate).checked(f"'{path}'")
    wanted = sample_rate or rate
    return Waveform(resample(mono.samples, rate, wanted), wanted).checked(f"'{path}' at {wanted} Hz")


def _read_soundfile(path: Path) -> tuple[NDArray[np.float32], int, float]:
    with _opened_soundfile(path) as file:
        return file.read(dtype="float32", always_2d=True).T, int(file.samplerate), 0.0


def _read_track(path: Path) -> tuple[NDArray[np.float32], int, float]:
    """First audio track ``(channels, n)``, its rate, and when its first sample sounds on the file's clock."""
    import av

    with _opened(path, FailureKind.UNREADABLE_AUDIO) as container:
        stream = _audio_stream(container, path)
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


def clip_audio(clip: Clip, sample_rate: int) -> Waveform:
    """The real speech of a clip on the clock of its video, exactly as long as its video.

    A track that starts later than the picture is preceded by silence, an earlier one is cut; so is what outlasts the
    picture, and what is missing at the end is silence. A separate audio file is taken to start with the picture. A
    clip of a corpus without pictures (its video is an audio file) keeps its own clock.

    Raises:
        ClipFailure: as ``read_audio`` and ``video_info``; ``no_audio`` where the clip has none.
    """
    if clip.audio is None:
        raise ClipFailure(FailureKind.NO_AUDIO, f"clip '{clip.id}' has no audio")
    if is_audio_name(clip.video):
        return read_audio(clip.audio, sample_rate)
    info = video_info(clip.video)
    if clip.audio == clip.video:
        channels, rate, start_s = _read_track(clip.audio)
        own = _mono(clip.audio, channels, rate, sample_rate).samples
        offset_s = start_s - info.start_s
    else:
        own = read_audio(clip.audio, sample_rate).samples
        offset_s = 0.0
    return Waveform(placed(own, round(offset_s * sample_rate), round(info.duration_s * sample_rate)), sample_rate)


def clip_duration_s(clip: Clip) -> float:
    """Seconds that a clip's waveform should last.

    Raises:
        ClipFailure: as ``video_info``, and as ``read_audio`` for a clip of a corpus without pictures.
    """
    return read_audio(clip.video).duration_s if is_audio_name(clip.video) else video_info(clip.video).duration_s


def placed(samples: NDArray[np.float32], at: int, length: int) -> NDArray[np.float32]:
    """``samples`` laid into ``length`` zeros from index ``at`` (which may be negative); what sticks out is cut."""
    out = np.zeros(length, np.float32)
    first, last = max(0, at), min(length, at + len(samples))
    if first < last:
        out[first:last] = samples[first - at : last - at]
    return out


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


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    audio: Waveform | None = None,
    *,
    crf: int = 23,
    audio_bit_rate: int = _AUDIO_BIT_RATE,
    preset: str = "medium",
) -> None:
    """Write H.264 video at 25 fps with an AAC track; equal input, equal bytes (one encoder thread).

    Args:
        path: ends in ``.mp4`` or ``.mkv``.
        frames: uint8 RGB ``(H, W, 3)`` each, H and W even.
        audio: starts with the first frame.
        crf: quality, lower is better (18 is nearly lossless).
        audio_bit_rate: bits a second.
        preset: x264's speed preset.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    with av.open(str(part), "w") as container:
        stream: Any = None
        sound: Any = None
        if audio is not None:
            sound = container.add_stream("aac", rate=audio.sample_rate, layout="mono")
            sound.bit_rate = audio_bit_rate
        for picture in frames:
            if stream is None:
                # x264's macroblock tree makes the bytes depend on the state of memory, even with one thread
                options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0"}
                stream = container.add_stream("libx264", rate=FPS, options=options)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is None:
            raise ValueError("a video needs at least one frame")
        container.mux(stream.encode(None))
        if audio is not None:
            _encode_sound(container, sound, audio)
    part.replace(path)


def _encode_sound(container: av.container.OutputContainer, stream: Any, audio: Waveform) -> None:
    import av

    block = av.AudioFrame.from_ndarray(np.clip(audio.samples, -1, 1)[None], format="fltp", layout="mono")
    block.sample_rate = audio.sample_rate
    block.pts = 0  # without a time the encoder's priming samples would not be marked, and delay the sound
    block.time_base = Fraction(1, audio.sample_rate)
    container.mux(stream.encode(block))
    container.mux(stream.encode(None))


def copy_silent(source: Path, target: Path) -> None:
    """Copy the video stream of ``source`` into ``target`` (``.mp4`` or ``.mkv``), bit by bit and without its sound.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    import av

    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(source, FailureKind.UNREADABLE_VIDEO) as container, av.open(str(target), "w") as out:
        stream = _video_stream(container, source)
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
        stream.bit_rate = _AUDIO_BIT_RATE
    _encode_sound(out, stream, audio)


def _packets_from_zero(path: Path) -> Generator[Any, None, None]:
    """The packets of a video stream, on a clock that starts with the first frame that can be decoded.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with _opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        shown = next(container.decode(_video_stream(container, path)), None)
    if shown is None:
        raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has no frame that can be decoded")
    # opened anew: going back to the start loses packets in some formats
    with _opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        before: int | None = None
        for packet in container.demux(_video_stream(container, path)):
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
