"""Fast dataset, system and metric that fail on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.base import Dataset, DatasetOptions, sort_unique
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import Column, Metric, MetricOptions, Sample, Scores
from f2v_bench.runs.spec import RunSpec
from f2v_bench.systems.base import SpeakerReference, System, SystemOptions, clip_generator
from tests.clips import RATE, write_clip


class Toys(Dataset):
    name = "toys"
    summary = "made by a test"
    license = "none"
    instructions = "run the test"
    list_id = "toys/test"

    def __init__(self, clips: Sequence[Clip]) -> None:
        super().__init__(DatasetOptions())
        self._clips = sort_unique(clips, "toys")

    def clips(self) -> Sequence[Clip]:
        return self._clips


class Noise(System):
    """Seeded noise; clips in ``broken`` raise, clips in ``failing`` fail; counts its calls per clip."""

    name = "noise"
    summary = "noise"
    speaker_reference = SpeakerReference.NONE
    stages = ("draw",)
    sample_rate = RATE
    batch_size = 3

    def __init__(self, broken: frozenset[str] = frozenset(), failing: frozenset[str] = frozenset()) -> None:
        super().__init__(SystemOptions())
        self.broken, self.failing = broken, failing
        self.calls: Counter[str] = Counter()
        self.version = 1
        self.stop_after: int | None = None

    def synthesize(self, batch: Sequence[Clip], seed: int) -> list[Waveform | ClipFailure]:
        if self.stop_after is not None and self.calls.total() + len(batch) > self.stop_after:
            raise KeyboardInterrupt
        self.calls.update(clip.id for clip in batch)
        if any(clip.id in self.broken for clip in batch):
            raise RuntimeError("the network exploded")
        return [
            ClipFailure(FailureKind.TOO_SHORT, "cannot")
            if clip.id in self.failing
            else Waveform(0.1 * clip_generator(seed, clip.id).standard_normal(RATE // 2).astype(np.float32), RATE)
            for clip in batch
        ]

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"noise:{self.version}:{seed}"


class Loudness(Metric):
    """Root mean square; counts its calls per clip."""

    name = "loudness"
    columns = (Column("rms", "RMS", "", None, 0, 1, "root mean square"),)
    needs = frozenset()
    sample_rate = RATE

    def __init__(self) -> None:
        super().__init__(MetricOptions())
        self.calls: Counter[str] = Counter()
        self.version = 1

    @property
    def signature(self) -> str:
        return f"loudness:{self.version}"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        self.calls.update(sample.clip_id for sample in batch)
        return [Scores({"rms": float(np.sqrt(np.mean(sample.audio.samples**2)))}) for sample in batch]


class RecordedProgress:
    """Progress callback that records its calls."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int]] = []
        self.done = 0

    def start_stage(self, name: str, total: int, done: int) -> None:
        self.stages.append((name, total, done))

    def advance(self, name: str, clips: int) -> None:
        self.done += clips


def make_clips(root: Path, count: int) -> list[Clip]:
    return [write_clip(root / f"s{index % 2}" / f"{index}.mp4", 0.4, text=f"text {index}") for index in range(count)]


def run_spec(clips: Sequence[Clip], system: System, metric: Metric, seed: int = 0) -> RunSpec:
    return RunSpec(
        dataset=Toys(clips),
        clips=Toys(clips).clips(),
        list_size=len(clips),
        systems=[("noise", system)],
        metrics=[metric],
        unavailable=[],
        seed=seed,
        device="cpu",
        command=["test"],
        use_cache=False,
    )
