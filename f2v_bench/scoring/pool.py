"""Parallel scoring: batches of clips in worker processes, each with the model of one metric at a time.

The scores of a batch depend on its clips alone, so they do not change with the number of workers, the batch size or the
order of completion. Metrics that compute on a GPU run in the main process while the workers are busy.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from copy import copy
from dataclasses import dataclass
from functools import partial

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import Metric, MetricOptions
from f2v_bench.scoring.records import ScoreRow
from f2v_bench.scoring.scorer import Scorer, ScoringItem, make_rows
from f2v_bench.utils.multiprocessing import set_up_worker

WORKER_BATCH = 6  # clips per batch: small, so that workers finish at the same time and a kill loses little
ScoringError = tuple[str, str, str]  # metric, clip, traceback


@dataclass(frozen=True)
class Job:
    """One metric and its items.

    Attributes:
        metric: metric to compute.
        signature: signature of the metric.
        items: items without scores.
    """

    metric: Metric
    signature: str
    items: Sequence[ScoringItem]

    def batches(self, size: int) -> Iterator[Sequence[ScoringItem]]:
        """Return batches of similar length, so that padding is short; ties keep the systems of a clip together."""
        ordered = sorted(self.items, key=lambda item: round(item.duration_s, 1))
        return (ordered[first : first + size] for first in range(0, len(ordered), size))


@dataclass(frozen=True)
class Batch:
    """Batch of a job.

    Attributes:
        job: job of the batch.
        items: items to score.
    """

    job: Job
    items: Sequence[ScoringItem]

    @property
    def task(self) -> Callable[[], BatchResult]:
        """Function for a worker: class and options of the metric, never the metric with its model."""
        metric = self.job.metric
        return partial(_score_in_worker, type(metric), metric.options, self.job.signature, self.items)


@dataclass(frozen=True)
class BatchResult:
    """Result of one batch.

    Attributes:
        metric: metric name.
        clips: number of clips.
        rows: one row per clip and column.
        errors: unexpected errors.
    """

    metric: str
    clips: int
    rows: Sequence[ScoreRow]
    errors: Sequence[ScoringError]


def score_jobs(jobs: Sequence[Job], workers: int) -> Iterator[BatchResult]:
    """Score the items of all jobs and yield results in order of completion.

    Args:
        jobs: jobs in the order of the run.
        workers: number of processes; 1 scores in this process.

    Raises:
        F2VError: an error of a metric that concerns all clips.
    """
    local = [job for job in jobs if workers <= 1 or _needs_gpu(job.metric)]
    pooled = [job for job in jobs if not (workers <= 1 or _needs_gpu(job.metric))]
    pool = _Pool(workers) if any(job.items for job in pooled) else None
    try:
        if pool:
            pool.enqueue(Batch(job, items) for job in pooled for items in job.batches(WORKER_BATCH))
        for job in local:
            metric = copy(job.metric)  # the copy frees its model before the next metric loads one
            for items in job.batches(metric.batch_size):
                yield _score(metric, job.signature, items)
                if pool:
                    yield from pool.collect(block=False)
        if pool:
            yield from pool.collect(block=True)
    finally:
        if pool:
            pool.close()


def _needs_gpu(metric: Metric) -> bool:
    return metric.on_device and metric.options.device != "cpu"


class _Pool:
    """Worker processes with a queue of batches; up to two per worker are submitted."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waiting: deque[Batch] = deque()
        self._running: dict[Future[BatchResult], Batch] = {}
        self._executor = _executor(workers)

    def enqueue(self, batches: Iterable[Batch]) -> None:
        """Append batches to the queue."""
        self._waiting.extend(batches)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < 2 * self._workers:
            batch = self._waiting[0]
            self._running[self._executor.submit(batch.task)] = batch
            self._waiting.popleft()  # after the submission, which a broken pool refuses

    def collect(self, *, block: bool) -> Iterator[BatchResult]:
        """Yield finished results; with ``block``, until no batch is left."""
        while self._running:
            done, _ = wait(self._running, timeout=None if block else 0, return_when=FIRST_COMPLETED)
            if not done:
                return
            try:
                for future in done:
                    result = future.result()
                    del self._running[future]
                    yield result
                self._fill()
            except BrokenProcessPool:
                yield from self._recover()

    def _recover(self) -> Iterator[BatchResult]:
        """Score the running batches clip by clip after a worker died (native crash, out of memory), in one process."""
        suspects = [Batch(batch.job, [item]) for batch in self._running.values() for item in batch.items]
        self._running.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
        single = _executor(1)
        for batch in suspects:
            try:
                yield single.submit(batch.task).result()
            except BrokenProcessPool:
                single.shutdown(wait=False)
                single = _executor(1)
                yield _crash_result(batch)
        single.shutdown()
        self._executor = _executor(self._workers)
        self._fill()

    def close(self) -> None:
        """Stop the workers; batches that still run belong to an interrupted run and are terminated."""
        self._waiting.clear()
        self._executor.shutdown(wait=not self._running, cancel_futures=True)
        if self._running:
            for worker in multiprocessing.active_children():
                worker.terminate()


def _crash_result(batch: Batch) -> BatchResult:
    failure = ClipFailure(FailureKind.INTERNAL_ERROR, "the worker process died: a crash in native code, or no memory")
    rows = [row for item in batch.items for row in make_rows(batch.job.metric, batch.job.signature, item, failure)]
    return BatchResult(batch.job.metric.name, len(batch.items), rows, [])


def _executor(workers: int) -> ProcessPoolExecutor:
    # spawn: a forked child inherits locks of threads that do not exist in it
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=set_up_worker)


_errors: list[ScoringError] = []
_scorer = Scorer(lambda *error: _errors.append(error))
_current: list[tuple[type[Metric], MetricOptions, Metric]] = []  # the only metric whose model this process loads


def _score_in_worker(
    kind: type[Metric], options: MetricOptions, signature: str, items: Sequence[ScoringItem]
) -> BatchResult:
    """Score a batch with the metric instance of this worker process."""
    if not _current or _current[0][:2] != (kind, options):
        _current.clear()  # free the old model before the new one loads
        _current.append((kind, options, kind(options)))
    return _score(_current[0][2], signature, items)


def _score(metric: Metric, signature: str, items: Sequence[ScoringItem]) -> BatchResult:
    _errors.clear()
    rows = _scorer.score(metric, signature, items)
    return BatchResult(metric.name, len(items), rows, list(_errors))
