"""Pictures: a video's facts and its frames, uint8 RGB on the clock of 25 frames a second, and videos written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media.containers import AUDIO_BIT_RATE, encode_sound, opened, video_stream
from f2v_bench.timing import FPS


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
    with opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        stream = video_stream(container, path)
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
    with opened(path, FailureKind.UNREADABLE_VIDEO) as container:
        stream = video_stream(container, path)
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


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    audio: Waveform | None = None,
    *,
    crf: int = 23,
    audio_bit_rate: int = AUDIO_BIT_RATE,
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
            encode_sound(container, sound, audio)
    part.replace(path)
