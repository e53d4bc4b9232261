"""Shipped weights on clips of speakers outside the training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from f2v_bench.clip import Clip, Waveform
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.media import clip_audio
from f2v_bench.metrics.base import MetricOptions, Sample, Scores
from f2v_bench.metrics.stoi import STOI
from f2v_bench.registry import DATASETS, SYSTEMS
from f2v_bench.systems.base import System, SystemOptions

MODELS = ("ours", "svts", "intelligible", "diffv2s", "v2a-mel", "v2a-wave")
RATE = 16_000


@pytest.fixture(scope="module")
def clips() -> Sequence[Clip]:
    first: Sequence[Clip] = DATASETS.load("demo")(DatasetOptions()).clips()[:3]
    return first


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_shipped_weights_give_intelligible_speech(name: str, clips: Sequence[Clip]) -> None:
    system: System = SYSTEMS.load(name)(SystemOptions(clips=clips, dataset="demo"))
    assert "trained by f2v-bench on 1000 clips" in system.provenance
    predictions = system.synthesize(clips, 0)
    samples = []
    for clip, one in zip(clips, predictions, strict=True):
        assert isinstance(one, Waveform), one
        samples.append(Sample(clip.id, one, clip_audio(clip, RATE), clip.text))
    outcomes = STOI(MetricOptions()).score(samples)
    values = [one.values["estoi"] for one in outcomes if isinstance(one, Scores)]
    assert len(values) == len(clips)
    assert np.mean([value for value in values if value is not None]) > 0.55
