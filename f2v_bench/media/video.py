"""Reading and writing of video: uint8 RGB frames at 25 fps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media.containers import AUDIO_BIT_RATE, encode_audio_track, open_container, video_stream
from f2v_bench.timing import FPS


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Properties of a video file, counted from its packets without decoding.

    Attributes:
        frames: number of frames at 25 fps.
        source_fps: mean frame rate of the file.
        width, height: size in pixels, before rotation.
        start_s: time of the first frame in seconds, on the clock of the file.
        has_audio: True if there is an audio track.
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


def _indices_at_25_fps(times: NDArray[np.float64], end: float) -> NDArray[np.int64]:
    """Return the index of the source frame for each frame at 25 fps.

    Args:
        times: display times in seconds, increasing, ``(n,)``.
        end: end of the last frame in seconds.

    Returns:
        Indices ``(T,)`` into ``times``: the last frame that starts no later than half a tick after the tick.
    """
    ticks = max(1, round((end - times[0]) * FPS))
    at = times[0] + np.arange(ticks) / FPS + 0.5 / FPS - 1e-6
    indices: NDArray[np.int64] = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    return indices


def _last_duration(times: NDArray[np.float64], stated: float | None, rate: float | None) -> float:
    """Return the duration of the last frame in seconds: the median of the others, where there are any."""
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return stated or (1 / rate if rate else 1 / FPS)


def video_info(path: Path) -> VideoInfo:
    """Return length, rate and size of a video, from its packets without decoding.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with open_container(path, FailureKind.UNREADABLE_VIDEO) as container:
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
            frames=len(_indices_at_25_fps(ordered, end)),
            source_fps=float(len(ordered) / (end - ordered[0])) if end > ordered[0] else float(FPS),
            width=stream.width,
            height=stream.height,
            start_s=float(ordered[0]),
            has_audio=bool(container.streams.audio),
        )


def _rotate_upright(frame: Any) -> NDArray[np.uint8]:
    """Return a frame as RGB ``(H, W, 3)``, rotated as the file states (telephones store portrait video rotated)."""
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def iter_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video at 25 fps one by one, without keeping the video in memory.

    Yields:
        uint8 RGB ``(H, W, 3)``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
    """
    with open_container(path, FailureKind.UNREADABLE_VIDEO) as container:
        stream = video_stream(container, path)
        rate = float(stream.average_rate) if stream.average_rate else float(FPS)
        tick = 0
        current: NDArray[np.uint8] | None = None
        times: list[float] = []
        stated: float | None = None
        for count, frame in enumerate(container.decode(stream)):
            at = float(frame.pts * frame.time_base) if frame.pts is not None else count / rate
            if times and at <= times[-1]:
                continue  # a stream cut from a longer one may repeat a time
            # every tick before this time (minus half a tick) shows the previous frame
            while current is not None and times[0] + (tick + 0.5) / FPS - 1e-6 < at:
                yield current
                tick += 1
            current = _rotate_upright(frame)
            times.append(at)
            stated = float(frame.duration * frame.time_base) if frame.duration else stated
        if current is None:
            raise ClipFailure(FailureKind.UNREADABLE_VIDEO, f"'{path}' has no frame that can be decoded")
        end = times[-1] + _last_duration(np.array(times), stated, rate)
        for _ in range(tick, max(1, round((end - times[0]) * FPS))):
            yield current


def read_video(path: Path) -> NDArray[np.uint8]:
    """Read all frames of a short video at 25 fps, uint8 RGB ``(T, H, W, 3)``.

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
    """Write H.264 video at 25 fps with an AAC track, deterministically (one encoder thread).

    Args:
        path: file with suffix ``.mp4`` or ``.mkv``.
        frames: frames, uint8 RGB ``(H, W, 3)`` each, H and W even.
        audio: waveform that starts with the first frame.
        crf: rate factor of x264, lower is better (18 is nearly lossless).
        audio_bit_rate: bit rate of the audio in bit/s.
        preset: speed preset of x264.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    with av.open(str(part), "w") as container:
        stream: Any = None
        audio_track: Any = None
        if audio is not None:
            audio_track = container.add_stream("aac", rate=audio.sample_rate, layout="mono")
            audio_track.bit_rate = audio_bit_rate
        for image in frames:
            if stream is None:
                # with the macroblock tree of x264 the bytes depend on the state of the memory, even with one thread
                options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0"}
                stream = container.add_stream("libx264", rate=FPS, options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if stream is None:
            raise ValueError("a video needs at least one frame")
        container.mux(stream.encode(None))
        if audio is not None:
            encode_audio_track(container, audio_track, audio)
    part.replace(path)
