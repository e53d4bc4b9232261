"""Metrics for tests of the pool; in a module of their own so that worker processes can import them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import numpy as np

from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.metrics.base import Column, Metric, Sample, Scores
from tests.clips import RATE


class Peak(Metric):
    name = "peak"
    columns = (Column("peak", "peak", "", None, 0, 1, "largest sample"), Column("process", "", "", None, 0, 1e9, "who"))
    needs = frozenset()
    sample_rate = RATE
    signature = "peak:1"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return [
            Scores({"peak": float(np.abs(sample.audio.samples).max()), "process": float(os.getpid())})
            for sample in batch
        ]


class Deadly(Peak):
    """Ends its process at one clip, as a crash in native code would."""

    name = "deadly"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        if any(sample.clip_id == "s/3" for sample in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(batch)


class Broken(Peak):
    name = "broken"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        if any(sample.clip_id == "s/5" for sample in batch):
            raise ZeroDivisionError("boom")
        return super().score(batch)


class Weightless(Peak):
    name = "weightless"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        raise F2VError("the weights are broken", "pull them again")
