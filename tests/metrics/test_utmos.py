from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.utmos import UTMOS, utmos
from f2v_bench.nn.mos import utmos as network_module
from f2v_bench.nn.mos.utmos import UTMOS22Strong
from tests.nn.published import chirp, filled, randomized
from tests.nn.test_utmos import SMALL, official

FILE = "utmos22_strong_step7459_v1.pt"


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide an asset folder for this test alone."""
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> UTMOS22Strong:
    """Random weights of a small network, which the loading code then expects."""
    torch.manual_seed(0)
    network = randomized(UTMOS22Strong(SMALL))
    monkeypatch.setattr(network_module, "UTMOS22Strong", lambda: UTMOS22Strong(SMALL))
    return network


def scored(metric: UTMOS, batch: list) -> list[float]:
    outcomes = metric.score(batch)
    assert all(isinstance(outcome, Scores) for outcome in outcomes)
    return [outcome.values["utmos"] for outcome in outcomes]


def test_without_its_weights_it_is_unavailable(assets: Path) -> None:
    with pytest.raises(MetricUnavailable, match=r"'utmos22-strong'.*f2v-bench assets pull utmos22-strong"):
        UTMOS(MetricOptions())


@pytest.mark.parametrize("layout", ["speechmos", "official"])
def test_scores_from_a_published_file(assets: Path, small: UTMOS22Strong, sample, speechlike, layout: str) -> None:
    state = small.state_dict()
    torch.save(state if layout == "speechmos" else {"state_dict": official(state)}, assets / FILE)
    metric = UTMOS(MetricOptions())
    clips = [speechlike(seconds, pitch=100 + 40 * i, seed=i) for i, seconds in enumerate((0.3, 1.0, 0.6, 1.0))]
    found = scored(metric, [sample(clip) for clip in clips])
    with torch.inference_mode():
        expected = [small(torch.from_numpy(clip)[None], torch.tensor([len(clip)])).item() for clip in clips]
    assert found == pytest.approx(expected, abs=1e-5)
    turned = scored(metric, [sample(clip) for clip in clips[::-1]])[::-1]
    assert turned == pytest.approx(found, abs=1e-5)


def test_buckets_do_not_move_scores(small: UTMOS22Strong, speechlike, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [speechlike(seconds, seed=i) for i, seconds in enumerate((0.5, 1.2, 0.1, 0.8))]
    together = utmos(clips, small)
    monkeypatch.setattr("f2v_bench.metrics.utmos.BUDGET_S", {"cpu": 1})
    assert utmos(clips, small) == pytest.approx(together, abs=1e-5)
    with pytest.raises(ValueError, match="at least 400 samples, got 399"):
        utmos([np.zeros(399, np.float32)], small)
    assert utmos([], small) == []


def test_failures_leave_the_other_clips_alone(assets: Path, small: UTMOS22Strong, sample, speechlike) -> None:
    torch.save(small.state_dict(), assets / FILE)
    metric = UTMOS(MetricOptions())
    good = speechlike(1.0)
    batch = [np.zeros(16_000, np.float32), good, good[4000:4399], np.tile(good, 61)]
    silent, fine, short, long = metric.score([sample(clip) for clip in batch])
    kinds = [one.kind for one in (silent, short, long) if isinstance(one, ClipFailure)]
    assert kinds == [FailureKind.SILENT, FailureKind.TOO_SHORT, FailureKind.TOO_LONG]
    assert isinstance(fine, Scores)
    assert fine.values["utmos"] == pytest.approx(scored(metric, [sample(good)])[0], abs=1e-6)
    assert metric.score([sample(batch[0])])[0].kind is FailureKind.SILENT  # nothing left to score


def test_the_signature_names_the_weights(assets: Path) -> None:
    (assets / FILE).write_bytes(b"one")
    one = UTMOS(MetricOptions()).signature
    (assets / FILE).write_bytes(b"two")
    two = UTMOS(MetricOptions(device="cuda")).signature
    assert one != two
    assert "model:utmos22-strong-no-phoneme-7692c3ad3540|batches:masked|precision:fp32" in one
    with pytest.raises(F2VError, match="cannot be read as weights"):
        UTMOS(MetricOptions())._network  # noqa: B018
    with pytest.raises(F2VError, match="no setting 'judge'"):
        UTMOS(MetricOptions(settings={"judge": "1"}))


@pytest.mark.slow
def test_golden_score_of_the_published_code(assets: Path, sample) -> None:
    """SpeechMOS' own module, filled with the same weights and run once on the same second of tone."""
    torch.save(filled(UTMOS22Strong()).state_dict(), assets / FILE)
    assert scored(UTMOS(MetricOptions()), [sample(chirp(16_000).numpy())]) == pytest.approx([-0.2303965], abs=1e-5)
