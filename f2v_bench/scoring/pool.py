"""Score on every core: batches of clips go to worker processes, each with one metric's model at a time.

What a batch yields depends on its clips alone, so the numbers are the same whatever the number of workers, the size of
the batches or the order in which they end. Metrics that compute on a GPU stay in the main process and take their turn
while the workers are busy.
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
from f2v_bench.scoring.scorer import Scorer, ScoringItem, rows_of
from f2v_bench.utils.multiprocessing import set_up_worker

WORKER_BATCH = 6  # clips a worker is given at once: small, so that the cores finish together and a kill loses little
ScoringError = tuple[str, str, str]  # metric, clip, traceback


@dataclass(frozen=True)
class Job:
    """One metric and the clips that it has still to score."""

    metric: Metric
    signature: str
    todo: Sequence[ScoringItem]

    def batches(self, size: int) -> Iterator[Sequence[ScoringItem]]:
        """Batches of like length, so that padding costs little; systems of one clip stay together where lengths tie."""
        ordered = sorted(self.todo, key=lambda candidate: round(candidate.duration_s, 1))
        return (ordered[first : first + size] for first in range(0, len(ordered), size))


@dataclass(frozen=True)
class Batch:
    """What a worker is asked."""

    job: Job
    clips: Sequence[ScoringItem]

    @property
    def call(self) -> Callable[[], BatchResult]:
        """What a worker is sent: how to make the metric, never the metric with its model."""
        metric = self.job.metric
        return partial(_work, type(metric), metric.options, self.job.signature, self.clips)


@dataclass(frozen=True)
class BatchResult:
    """Rows of one batch, and the tracebacks of what nobody foresaw."""

    metric: str
    clips: int
    rows: Sequence[ScoreRow]
    troubles: Sequence[ScoringError]


def score_jobs(jobs: Sequence[Job], workers: int) -> Iterator[BatchResult]:
    """Score every job's clips; answers come in the order in which batches end.

    Args:
        jobs: in the order of the run; the next metric begins when a worker has nothing left of the one before.
        workers: processes; 1 scores in this process.

    Raises:
        F2VError: what ails every clip of a metric.
    """
    stays = [workers <= 1 or _needs_gpu(job.metric) for job in jobs]
    here = [job for job, stay in zip(jobs, stays, strict=True) if stay]
    away = [job for job, stay in zip(jobs, stays, strict=True) if not stay]
    pool = _Pool(workers) if any(job.todo for job in away) else None
    try:
        if pool:
            pool.enqueue(Batch(job, clips) for job in away for clips in job.batches(WORKER_BATCH))
        for job in here:
            metric = copy(job.metric)  # the model that it loads goes with the copy, before the next one comes
            for clips in job.batches(metric.batch_size):
                yield _score(metric, job.signature, clips)
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
    """Worker processes, kept busy with a few batches each."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._waiting: deque[Batch] = deque()
        self._running: dict[Future[BatchResult], Batch] = {}
        self._executor = _executor(workers)

    def enqueue(self, batches: Iterable[Batch]) -> None:
        self._waiting.extend(batches)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < 2 * self._workers:
            batch = self._waiting[0]
            self._running[self._executor.submit(batch.call)] = batch
            self._waiting.popleft()  # not before: a broken pool refuses it

    def collect(self, *, block: bool) -> Iterator[BatchResult]:
        """What has ended; with ``block``, until nothing is left."""
        while self._running:
            done, _ = wait(self._running, timeout=None if block else 0, return_when=FIRST_COMPLETED)
            if not done:
                return
            try:
                for future in done:
                    answer = future.result()
                    del self._running[future]
                    yield answer
                self._fill()
            except BrokenProcessPool:
                yield from self._recover()

    def _recover(self) -> Iterator[BatchResult]:
        """A worker died (native crash, out of memory): try what was under way clip by clip, one process each."""
        suspects = [Batch(batch.job, [clip]) for batch in self._running.values() for clip in batch.clips]
        self._running.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
        lonely = _executor(1)
        for batch in suspects:
            try:
                yield lonely.submit(batch.call).result()
            except BrokenProcessPool:
                lonely.shutdown(wait=False)
                lonely = _executor(1)
                yield _died(batch)
        lonely.shutdown()
        self._executor = _executor(self._workers)
        self._fill()

    def close(self) -> None:
        """Let the workers go; when they are still at work the run was broken off, and nobody waits for them."""
        self._waiting.clear()
        self._executor.shutdown(wait=not self._running, cancel_futures=True)
        if self._running:
            for worker in multiprocessing.active_children():
                worker.terminate()


def _died(batch: Batch) -> BatchResult:
    failure = ClipFailure(FailureKind.INTERNAL_ERROR, "the worker process died: a crash in native code, or no memory")
    rows = [row for clip in batch.clips for row in rows_of(batch.job.metric, batch.job.signature, clip, failure)]
    return BatchResult(batch.job.metric.name, len(batch.clips), rows, [])


def _executor(workers: int) -> ProcessPoolExecutor:
    # spawn: a forked child inherits the locks of threads that it does not have
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=set_up_worker)


_troubles: list[ScoringError] = []
_scorer = Scorer(lambda *trouble: _troubles.append(trouble))
_current: list[tuple[type[Metric], MetricOptions, Metric]] = []  # the one metric whose model this process holds


def _work(kind: type[Metric], options: MetricOptions, signature: str, clips: Sequence[ScoringItem]) -> BatchResult:
    """In a worker: score a batch with this process's own instance of the metric."""
    if not _current or _current[0][:2] != (kind, options):
        _current.clear()  # the old model goes before the new one comes
        _current.append((kind, options, kind(options)))
    return _score(_current[0][2], signature, clips)


def _score(metric: Metric, signature: str, clips: Sequence[ScoringItem]) -> BatchResult:
    _troubles.clear()
    rows = _scorer.score(metric, signature, clips)
    return BatchResult(metric.name, len(clips), rows, list(_troubles))
