"""Small media files that tests make for themselves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from f2v_bench.clip import Clip, Waveform
from f2v_bench.media import write_video
from f2v_bench.timing import FPS

RATE = 16_000


def tone(seconds: float, hertz: float = 220.0, rate: int = RATE, gain: float = 0.3) -> NDArray[np.float32]:
    """Return a sine, float32 ``(n,)``."""
    return (gain * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def babble(seconds: float, seed: int = 0, rate: int = RATE) -> NDArray[np.float32]:
    """Something speech-like: a gliding harmonic voice under a syllable rhythm, with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    f0 = 120 + 30 * np.sin(2 * np.pi * (0.5 + 0.2 * rng.random()) * t + rng.random() * 6)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    voice = sum(np.sin(k * phase + rng.random()) / k for k in range(1, 20))
    rhythm = np.clip(np.sin(2 * np.pi * 3 * t + rng.random() * 6), 0, 1) ** 0.5
    return (0.12 * voice * rhythm + 0.003 * rng.standard_normal(len(t))).astype(np.float32)


def numbered_frames(count: int, height: int = 64, width: int = 80) -> list[NDArray[np.uint8]]:
    """Gray frames with a level per frame number: ``level = 16 + 8 * number``, repeated after 29."""
    return [np.full((height, width, 3), 16 + 8 * (number % 29), np.uint8) for number in range(count)]


def number_of(frame: NDArray[np.uint8]) -> int:
    """Which of ``numbered_frames`` this is, after lossy coding."""
    return round((float(frame.mean()) - 16) / 8)


def write_clip(
    path: Path, seconds: float = 1.0, samples: NDArray[np.float32] | None = None, text: str | None = "bin blue"
) -> Clip:
    """Write a video of numbered frames with audio and return it as a clip."""
    sound = babble(seconds) if samples is None else samples
    write_video(path, numbered_frames(round(seconds * FPS)), Waveform(sound, RATE), crf=18)
    return Clip(f"{path.parent.name}/{path.stem}", path.parent.name, path, path, text, "test")


def write_timed_video(
    path: Path,
    times: list[float],
    audio: NDArray[np.float32] | None = None,
    audio_start: float = 0.0,
) -> None:
    """Matroska with numbered frames at the given times (s), and lossless sound that starts at ``audio_start`` (s)."""
    clock = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=1000, options={"crf": "10", "bf": "0"})
        video.width, video.height, video.pix_fmt = 80, 64, "yuv420p"
        video.codec_context.time_base = clock
        sound = container.add_stream("flac", rate=RATE, layout="mono") if audio is not None else None
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered_frames(number + 1)[-1], format="rgb24")
            frame.pts, frame.time_base = round(at * 1000), clock
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and audio is not None:
            block = av.AudioFrame.from_ndarray((audio * 32767).astype(np.int16)[None], format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, round(audio_start * RATE), Fraction(1, RATE)
            container.mux(sound.encode(block))
            container.mux(sound.encode(None))
