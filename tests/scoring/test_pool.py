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
def candidates(tmp_path_factory: pytest.TempPathFactory) -> list[ScoringItem]:
    root = tmp_path_factory.mktemp("audio")
    made = []
    for index in range(CLIPS):
        path = root / f"{index}.wav"
        soundfile.write(path, tone(0.1 + 0.01 * (index * 7 % CLIPS), gain=0.01 * (index + 1)), RATE, subtype="FLOAT")
        clip = Clip(f"s/{index}", "s", path, path, None, "test")
        made.append(ScoringItem("sys", clip, path, f"{index:x<20}", soundfile.info(path).duration))
    return made


def job(kind: type[Metric], candidates: list[ScoringItem]) -> Job:
    metric = kind(MetricOptions())
    return Job(metric, metric.signature, candidates)


def peaks(answers: list[BatchResult]) -> dict[str, float | None]:
    return {row.clip: row.value for answer in answers for row in answer.rows if row.column == "peak"}


def statuses(answers: list[BatchResult]) -> dict[str, str]:
    return {row.clip: row.status for answer in answers for row in answer.rows if row.column == "peak"}


def test_scores_do_not_depend_on_workers_or_order(candidates: list[ScoringItem]) -> None:
    alone = list(score_jobs([job(Peak, candidates)], 1))
    together = list(score_jobs([job(Peak, candidates), job(Broken, [])], 2))
    backwards = list(score_jobs([job(Peak, candidates[::-1])], 3))
    assert peaks(alone) == peaks(together) == peaks(backwards)
    assert len(peaks(alone)) == CLIPS
    processes = {row.value for answer in together for row in answer.rows if row.column == "process"}
    assert float(os.getpid()) not in processes


def test_a_worker_that_dies_costs_its_clip_alone(candidates: list[ScoringItem]) -> None:
    found = statuses(list(score_jobs([job(Deadly, candidates)], 2)))
    assert found.pop("s/3") == "internal_error"
    assert set(found.values()) == {OK}
    assert len(found) == CLIPS - 1


def test_a_batch_that_a_broken_pool_refuses_is_not_lost(candidates: list[ScoringItem]) -> None:
    class Broken:
        def submit(self, call: object) -> None:
            raise BrokenProcessPool

    pool = pool_module._Pool(1)
    pool._executor.shutdown()
    pool._executor = Broken()  # type: ignore[assignment]
    batch = pool_module.Batch(job(Peak, candidates), candidates[:2])
    with pytest.raises(BrokenProcessPool):
        pool.enqueue([batch])
    assert list(pool._waiting) == [batch]


def test_only_the_metric_at_work_holds_its_model(candidates: list[ScoringItem]) -> None:
    class Heavy(Peak):
        @cached_property
        def model(self) -> bytes:
            return bytes(1000)

        def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
            assert self.model
            return super().score(batch)

    heavy = Heavy(MetricOptions())
    assert len(peaks(list(score_jobs([Job(heavy, "heavy:1", candidates)], 1)))) == CLIPS
    assert "model" not in vars(heavy)


def test_tracebacks_come_back_from_workers(candidates: list[ScoringItem]) -> None:
    answers = list(score_jobs([job(Broken, candidates)], 2))
    troubles = [trouble for answer in answers for trouble in answer.errors]
    assert [(metric, clip) for metric, clip, _ in troubles] == [("broken", "s/5")]
    assert "ZeroDivisionError: boom" in troubles[0][2]
    assert statuses(answers)["s/5"] == "internal_error"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_ails_every_clip_ends_the_run(candidates: list[ScoringItem], workers: int) -> None:
    with pytest.raises(F2VError, match="the weights are broken") as caught:
        list(score_jobs([job(Weightless, candidates)], workers))
    assert caught.value.do == "pull them again"


def test_batches_hold_clips_of_like_length(candidates: list[ScoringItem]) -> None:
    batches = list(job(Peak, candidates).batches(WORKER_BATCH))
    assert sorted(one.clip.id for batch in batches for one in batch) == sorted(one.clip.id for one in candidates)
    ends = [(min(c.duration_s for c in batch), max(c.duration_s for c in batch)) for batch in batches]
    assert all(before[1] <= after[0] + 0.1 for before, after in pairwise(ends))


def scored(kind: type[Metric], candidates: list[ScoringItem]) -> list[ScoreRow]:
    return [row for answer in score_jobs([job(kind, candidates)], 1) for row in answer.rows]


def test_the_cache_gives_back_what_was_scored(candidates: list[ScoringItem], tmp_path: Path) -> None:
    metric = Peak(MetricOptions())
    rows = scored(Peak, candidates[:2])
    with ScoreCache(tmp_path / "c" / "scores.sqlite") as cache:
        assert cache.find(metric, "peak:1", candidates[0]) is None
        cache.store(metric, rows)
    with ScoreCache(tmp_path / "c" / "scores.sqlite") as cache:
        assert cache.find(metric, "peak:1", candidates[0]) == rows[:2]
        assert cache.find(metric, "peak:2", candidates[0]) is None
        assert cache.find(metric, "peak:1", candidates[2]) is None
        other = ScoringItem("another", candidates[1].clip, candidates[1].audio, candidates[1].audio_hash, 0.1)
        found = cache.find(metric, "peak:1", other)
        assert found is not None
        assert {row.system for row in found} == {"another"}


def test_the_cache_keeps_no_accidents(candidates: list[ScoringItem], tmp_path: Path) -> None:
    metric = Broken(MetricOptions())
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        cache.store(metric, scored(Broken, candidates[4:6]))
        assert cache.find(metric, metric.signature, candidates[4]) is not None
        assert cache.find(metric, metric.signature, candidates[5]) is None


def test_a_damaged_cache_is_begun_anew(candidates: list[ScoringItem], tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").write_bytes(b"not a database" * 100)
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        assert cache.find(Peak(MetricOptions()), "peak:1", candidates[0]) is None
