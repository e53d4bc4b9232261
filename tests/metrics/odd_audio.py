"""200 broken and odd audio files, made the same way every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
SECONDS = 1.0
RATES = (8000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
SUBTYPES = ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")


def encoded(
    samples: NDArray[np.floating], rate: int = RATE, file_format: str = "WAV", subtype: str | None = None
) -> bytes:
    """Return the bytes of an audio file; ``samples`` are ``(n,)`` or ``(n, channels)``."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format, subtype=subtype)
    return buffer.getvalue()


def contents(voice: NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    """Well-formed float files whose samples are odd."""
    n, rng = len(voice), np.random.default_rng(1)
    t = np.arange(n) / RATE
    half = np.where(t < SECONDS / 2, voice, np.nan)
    odd: dict[str, NDArray[np.floating]] = {
        "zeros": np.zeros(n),
        "negative-zeros": np.full(n, -0.0),
        "no-samples": voice[:0],
        "nan-one": np.where(np.arange(n) == 7, np.nan, voice),
        "nan-half": half,
        "nan-all": np.full(n, np.nan),
        "inf-one": np.where(np.arange(n) == 7, np.inf, voice),
        "inf-negative": np.where(np.arange(n) == 7, -np.inf, voice),
        "huge": voice * 1e30,
        "large": voice * 1e4,
        "denormal": np.full(n, 1e-42),
        "quiet-70dB": voice * 3e-4,
        "dc-full": np.ones(n),
        "dc-half": np.full(n, 0.5),
        "dc-on-voice": voice + 0.5,
        "square": np.sign(np.sin(2 * np.pi * 200 * t)),
        "nyquist": np.where(np.arange(n) % 2, 1.0, -1.0),
        "impulse": np.where(np.arange(n) == n // 2, 1.0, 0.0),
        "step": (t > SECONDS / 2).astype(float),
        "noise-full": rng.standard_normal(n).clip(-1, 1),
        "sine-7900": 0.5 * np.sin(2 * np.pi * 7900 * t),
        "sine-20": 0.5 * np.sin(2 * np.pi * 20 * t),
        "clipped": (voice * 20).clip(-1, 1),
        "upside-down": -voice,
        "backwards": voice[::-1],
        "last-sample": np.where(np.arange(n) == n - 1, 1.0, 0.0),
        "half-silent": np.where(t < SECONDS / 2, voice, 0.0),
    }
    for name, samples in odd.items():
        yield f"content-{name}.wav", encoded(samples.astype(np.float32), subtype="FLOAT")
    for length in (1, 2, 3, 79, 161, 319, 320, 511, 512, 1023, 1600, 4000, 14_500):
        yield f"length-{length}.wav", encoded(voice[:length], subtype="FLOAT")


def formats(voice: NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    """Rates, encodings, channels, and containers that do not match their name."""
    for rate in RATES:
        yield f"rate-{rate}.wav", encoded(_at(voice, rate), rate)
    yield "rate-100.wav", encoded(voice[:100], 100)
    yield "rate-1.wav", encoded(voice[:2], 1)
    yield "rate-2000000.wav", encoded(np.repeat(voice, 125), 2_000_000)
    for subtype in SUBTYPES:
        yield f"subtype-{subtype}.wav", encoded(voice, subtype=subtype)
    for subtype in ("PCM_S8", "PCM_24"):
        yield f"subtype-{subtype}.flac", encoded(voice, file_format="FLAC", subtype=subtype)
    for channels in (2, 3, 6, 8):
        yield f"channels-{channels}.wav", encoded(np.stack([voice] * channels, axis=1))
        yield f"channels-{channels}.flac", encoded(np.stack([voice] * channels, axis=1), file_format="FLAC")
    yield "channels-cancel.wav", encoded(np.stack([voice, -voice], axis=1), subtype="FLOAT")
    for file_format in ("AIFF", "FLAC", "OGG", "AU", "W64", "RF64", "CAF"):
        yield f"container-{file_format}.wav", encoded(voice, file_format=file_format)
    yield "container-wav.flac", encoded(voice)
    yield "container-wav.mp3", encoded(voice)
    yield "ogg.ogg", encoded(voice, file_format="OGG")
    yield "mp3.mp3", encoded(voice, file_format="MP3")


def damaged(voice: NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    """Files cut short, and files that are none."""
    whole = {
        "wav": encoded(voice),
        "flac": encoded(voice, file_format="FLAC"),
        "ogg": encoded(voice, file_format="OGG"),
    }
    for suffix, data in whole.items():
        for kept in (0, 1, 4, 12, 43, 44, 45, 60, 200, len(data) // 3, len(data) - 1):
            yield f"cut-{kept}.{suffix}", data[:kept]
    rng = np.random.default_rng(2)
    for suffix in ("wav", "flac", "ogg", "mp3", "m4a"):
        yield f"random.{suffix}", rng.bytes(3000)
    yield "text.wav", b"this is not sound\n" * 50
    yield "picture.flac", b"\x89PNG\r\n\x1a\n" + rng.bytes(500)
    yield "trailing.wav", whole["wav"] + rng.bytes(1001)
    yield "twice.wav", whole["wav"] * 2


def fuzzed(voice: NDArray[np.float32], count: int) -> Iterator[tuple[str, bytes]]:
    """WAV and FLAC with one to four bytes of the header replaced, every fourth with bytes anywhere."""
    sources = (("wav", encoded(voice), 44), ("flac", encoded(voice, file_format="FLAC"), 60))
    for seed in range(count):
        suffix, data, header = sources[seed % 2]
        rng = np.random.default_rng(1000 + seed)
        broken = bytearray(data)
        reach = len(broken) if seed % 4 == 3 else header
        for at in rng.integers(0, reach, rng.integers(1, 5)):
            broken[at] = rng.integers(256)
        yield f"fuzz-{seed:03d}.{suffix}", bytes(broken)


def write_files(folder: Path, voice: NDArray[np.float32], count: int = 200) -> list[Path]:
    """Write ``count`` odd files around one second of ``voice`` at 16 kHz, and return them."""
    made = [*contents(voice), *formats(voice), *damaged(voice)]
    made += fuzzed(voice, count - len(made))
    paths = [folder / name for name, _ in made]
    for path, (_, data) in zip(paths, made, strict=True):
        path.write_bytes(data)
    return paths


def _at(voice: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    times = np.arange(round(SECONDS * rate)) / rate
    return np.interp(times, np.arange(len(voice)) / RATE, voice)
