"""Speech and pairs that the metrics' tests share: synthetic ones made here, real ones from the reference folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from f2v_bench.clip import Waveform
from f2v_bench.media import read_audio
from f2v_bench.metrics.base import Sample

RATE = 16_000


def make_speechlike(seconds: float = 2.0, pitch: float = 140.0, seed: int = 0) -> NDArray[np.float32]:
    """Harmonics with a syllable rhythm, a moving pitch and a little noise: enough for every metric to find speech."""
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 1.3 * t))) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    rhythm = np.clip(np.sin(2 * np.pi * 3.1 * t) + 0.3, 0, None)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.15 * rhythm * voice + 0.003 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def speechlike() -> Callable[..., NDArray[np.float32]]:
    return make_speechlike


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """Return a Sample of arrays at 16 kHz."""

    def make(
        audio: NDArray[np.float32],
        reference: NDArray[np.float32] | None = None,
        text: str | None = None,
        clip_id: str = "s/clip",
    ) -> Sample:
        real = None if reference is None else Waveform(reference, RATE)
        return Sample(clip_id, Waveform(audio, RATE), real, text)

    return make


@pytest.fixture(scope="session")
def speech(shared: Path) -> Callable[[str], NDArray[np.float32]]:
    """Return a real recording of the reference folder at 16 kHz, clipped as for the golden values."""

    def read(name: str) -> NDArray[np.float32]:
        [path] = (shared / "data" / "speech").glob(f"{name}.*")
        return np.clip(read_audio(path, RATE).samples, -1, 1)

    return read


@pytest.fixture(scope="session")
def jfk_pair(speech: Callable[[str], NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """JFK's speech with white noise at 10 dB, and without: the pair of the protocols' golden values."""
    clean = speech("jfk")
    noise = np.random.default_rng(1234).standard_normal(len(clean))
    noise *= np.sqrt(np.mean(clean.astype(np.float64) ** 2) / np.mean(noise**2) / 10)
    return np.clip(clean + noise, -1, 1).astype(np.float32), clean


@pytest.fixture(scope="session")
def versa_pair(speech: Callable[[str], NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """VERSA's generated and reference file: 1 s of noise each."""
    return speech("versa_test2"), speech("versa_test1")


@pytest.fixture(scope="session")
def grid_test(shared: Path) -> list[Sample]:
    """Return the 50 real test clips of GRID s1, each its own reference."""
    root = shared / "data" / "grid"
    with (root / "s1.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    waves = [read_audio(root / row["path"], RATE) for row in rows]
    return [Sample(row["clip_id"], wave, wave, row["transcript"]) for row, wave in zip(rows, waves, strict=True)]
