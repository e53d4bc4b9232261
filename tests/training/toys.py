"""Noise clips, and settings of a network small enough to train in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.demo import Demo
from f2v_bench.modeling.batch import Example
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import Prepared
from tests.clips import babble

ENCODER = LipEncoderConfig(size=32, channels=(16, 16, 16), width=8, layers=1, heads=2, kernel=3)
UNIT_COUNT = 5


def demo_clips(count: int | None = None) -> list[Clip]:
    """Return the packaged clips of the demo corpus."""
    return list(Demo(DatasetOptions()).clips())[:count]


def toy_example(index: int, rng: np.random.Generator | None = None) -> Example:
    """Build a noise example for the lips stage; a generator changes it a little."""
    fixed = np.random.default_rng(index)
    frames = 4 + index % 5
    lips = fixed.integers(0, 200, (frames, 96, 96), dtype=np.uint8)
    if rng is not None:
        lips = lips + rng.integers(0, 50, dtype=np.uint8)
    units, phones = fixed.integers(0, UNIT_COUNT, 2 * frames), fixed.integers(0, 40, 2 * frames)
    return Example(frames, {"lips": lips, "units": units, "phones": phones})


def toy_features(frames: int = 20, seed: int = 0) -> ClipFeatures:
    """Build noise features with the shapes and types of a real clip."""
    rng = np.random.default_rng(seed)
    return ClipFeatures(
        lips=rng.integers(0, 256, (frames, 96, 96), dtype=np.uint8),
        face=rng.integers(0, 256, (frames, 56, 56), dtype=np.uint8),
        identity=rng.integers(0, 256, (8, 112, 112, 3), dtype=np.uint8),
        audio=rng.integers(-9000, 9000, 640 * frames).astype(np.int16),
        mel=rng.standard_normal((4 * frames, 80)).astype(np.float32),
        f0=rng.uniform(0, 200, 4 * frames).astype(np.float32),
        energy=rng.uniform(0, 1, 4 * frames).astype(np.float32),
        cepstra=rng.standard_normal((2 * frames, 39)).astype(np.float32),
        phones=rng.integers(0, 40, 2 * frames),
        speaker=rng.standard_normal(256).astype(np.float32),
    )


def toy_prepared(folder: Path, frames: list[int]) -> Prepared:
    """Write noise features as ``prepare`` does."""
    clips, files = [], []
    for index, count in enumerate(frames):
        files.append(folder / f"clip{index}.npz")
        np.savez(files[-1], **toy_features(count, index).arrays())  # type: ignore[arg-type]
        clips.append(Clip(f"ann/{index}", "ann", folder / f"{index}.mp4", folder / f"{index}.mp4", None, "train"))
    return Prepared(tuple(clips), tuple(files))


def audio_folder(folder: Path) -> Path:
    """Write twelve files of 1 to 2 s in two folders, one of 7 s, and one that is no audio."""
    for index in range(12):
        path = folder / f"voice{index % 2}" / f"{index:02d}.{'wav' if index % 3 else 'flac'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, babble(1 + index / 12, index), 16_000)
    soundfile.write(folder / "long.flac", babble(7.0, 99, 22_050), 22_050)
    (folder / "notes.txt").write_text("no audio")
    return folder
