"""Small things to train on, and a network small enough to train in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.demo import Demo
from f2v_bench.modeling.batch import Example
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.data.prepare import Prepared

ENCODER = LipEncoderConfig(size=32, channels=(16, 16, 16), width=8, layers=1, heads=2, kernel=3)
UNIT_COUNT = 5


def demo_clips(count: int | None = None) -> list[Clip]:
    """The packaged clips of the demo corpus."""
    return list(Demo(DatasetOptions()).clips())[:count]


def toy_item(index: int, rng: np.random.Generator | None = None) -> Example:
    """A clip of noise for the lips stage; with a generator, a little of it is drawn anew."""
    own = np.random.default_rng(index)
    frames = 4 + index % 5
    lips = own.integers(0, 200, (frames, 96, 96), dtype=np.uint8)
    if rng is not None:
        lips = lips + rng.integers(0, 50, dtype=np.uint8)
    units, phones = own.integers(0, UNIT_COUNT, 2 * frames), own.integers(0, 40, 2 * frames)
    return Example(frames, {"lips": lips, "units": units, "phones": phones})


def toy_targets(frames: int = 20, seed: int = 0) -> ClipFeatures:
    """A clip of noise, of the shapes and types of a real one."""
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
    """Clips of noise on disk, as ``prepare`` leaves them."""
    clips, files = [], []
    for at, count in enumerate(frames):
        files.append(folder / f"clip{at}.npz")
        np.savez(files[-1], **toy_targets(count, at).arrays())  # type: ignore[arg-type]
        clips.append(Clip(f"ann/{at}", "ann", folder / f"{at}.mp4", folder / f"{at}.mp4", None, "train"))
    return Prepared(tuple(clips), tuple(files))
