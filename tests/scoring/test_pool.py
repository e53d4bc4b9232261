from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.metrics.base import Metric, MetricOptions, Sample, Scores
from f2v_bench.scoring import pool as pool_module
from f2v_bench.scoring.cache import ScoreCache
from f2v_bench.scoring.pool import WORKER_BATCH, BatchResult, Job, score_jobs
from f2v_bench.scoring.records import OK, ScoreRow
from f2v_bench.scoring.scorer import ScoringItem
from tests.clips import RATE, tone
from tests.scoring.pool_metrics import Broken, Deadly, Peak, Weightless

CLIPS = 20


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[ScoringItem]:
    root = tmp_path_factory.mktemp("audio")
    made = []
    for index in range(CLIPS):
        path = root / f"{index}.wav"
        soundfile.write(path, tone(0.1 + 0.01 * (index * 7 % CLIPS), gain=0.01 * (index + 1)), RATE, subtype="FLOAT")
        clip = Clip(f"s/{index}", "s", path, path, None, "test")
        made.append(ScoringItem("sys", clip, path, f"{index:x<20}", soundfile.info(path).duration))
    return made


def job(kind: type[Metric], items: list[ScoringItem]) -> Job:
    metric = kind(MetricOptions())
    return Job(metric, metric.signature, items)


def peaks(results: list[BatchResult]) -> dict[str, float | None]:
    return {row.clip: row.value for result in results for row in result.rows if row.column == "peak"}


def statuses(results: list[BatchResult]) -> dict[str, str]:
    return {row.clip: row.status for result in results for row in result.rows if row.column == "peak"}


def test_scores_do_not_depend_on_workers_or_order(items: list[ScoringItem]) -> None:
    alone = list(score_jobs([job(Peak, items)], 1))
    together = list(score_jobs([job(Peak, items), job(Broken, [])], 2))
    backwards = list(score_jobs([job(Peak, items[::-1])], 3))
    assert peaks(alone) == peaks(together) == peaks(backwards)
    assert len(peaks(alone)) == CLIPS
    processes = {row.value for result in together for row in result.rows if row.column == "process"}
    assert float(os.getpid()) not in processes


def test_a_worker_that_dies_costs_its_clip_alone(items: list[ScoringItem]) -> None:
    found = statuses(list(score_jobs([job(Deadly, items)], 2)))
    assert found.pop("s/3") == "internal_error"
    assert set(found.values()) == {OK}
    assert len(found) == CLIPS - 1


def test_a_batch_that_a_broken_pool_refuses_is_not_lost(items: list[ScoringItem]) -> None:
    class Broken:
        def submit(self, call: object) -> None:
            raise BrokenProcessPool

    pool = pool_module._Pool(1)
    pool._executor.shutdown()
    pool._executor = Broken()  # type: ignore[assignment]
    batch = pool_module.Batch(job(Peak, items), items[:2])
    with pytest.raises(BrokenProcessPool):
        pool.enqueue([batch])
    assert list(pool._waiting) == [batch]


def test_only_the_current_metric_loads_its_model(items: list[ScoringItem]) -> None:
    class Heavy(Peak):
        @cached_property
        def model(self) -> bytes:
            return bytes(1000)

        def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
            assert self.model
            return super().score(batch)

    heavy = Heavy(MetricOptions())
    assert len(peaks(list(score_jobs([Job(heavy, "heavy:1", items)], 1)))) == CLIPS
    assert "model" not in vars(heavy)


def test_tracebacks_come_back_from_workers(items: list[ScoringItem]) -> None:
    results = list(score_jobs([job(Broken, items)], 2))
    errors = [error for result in results for error in result.errors]
    assert [(metric, clip) for metric, clip, _ in errors] == [("broken", "s/5")]
    assert "ZeroDivisionError: boom" in errors[0][2]
    assert statuses(results)["s/5"] == "internal_error"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_all_clips_ends_the_run(items: list[ScoringItem], workers: int) -> None:
    with pytest.raises(F2VError, match="the weights are broken") as caught:
        list(score_jobs([job(Weightless, items)], workers))
    assert caught.value.do == "pull them again"


def test_batches_have_clips_of_similar_length(items: list[ScoringItem]) -> None:
    batches = list(job(Peak, items).batches(WORKER_BATCH))
    assert sorted(one.clip.id for batch in batches for one in batch) == sorted(one.clip.id for one in items)
    ends = [(min(c.duration_s for c in batch), max(c.duration_s for c in batch)) for batch in batches]
    assert all(before[1] <= after[0] + 0.1 for before, after in pairwise(ends))


def scored(kind: type[Metric], items: list[ScoringItem]) -> list[ScoreRow]:
    return [row for result in score_jobs([job(kind, items)], 1) for row in result.rows]


def test_the_cache_returns_the_stored_scores(items: list[ScoringItem], tmp_path: Path) -> None:
    metric = Peak(MetricOptions())
    rows = scored(Peak, items[:2])
    with ScoreCache(tmp_path / "c" / "scores.sqlite") as cache:
        assert cache.find(metric, "peak:1", items[0]) is None
        cache.store(metric, rows)
    with ScoreCache(tmp_path / "c" / "scores.sqlite") as cache:
        assert cache.find(metric, "peak:1", items[0]) == rows[:2]
        assert cache.find(metric, "peak:2", items[0]) is None
        assert cache.find(metric, "peak:1", items[2]) is None
        other = ScoringItem("another", items[1].clip, items[1].audio, items[1].audio_hash, 0.1)
        found = cache.find(metric, "peak:1", other)
        assert found is not None
        assert {row.system for row in found} == {"another"}


def test_the_cache_stores_no_retryable_failures(items: list[ScoringItem], tmp_path: Path) -> None:
    metric = Broken(MetricOptions())
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        cache.store(metric, scored(Broken, items[4:6]))
        assert cache.find(metric, metric.signature, items[4]) is not None
        assert cache.find(metric, metric.signature, items[5]) is None


def test_a_damaged_cache_is_replaced(items: list[ScoringItem], tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").write_bytes(b"not a database" * 100)
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        assert cache.find(Peak(MetricOptions()), "peak:1", items[0]) is None
