"""Worker processes: setup, caches of compiled code, and a parallel map.

numba keeps machine code beside the packages that use it. Two processes that compile the same function for the first
time can leave a corrupt cache, and every later process then crashes. So each process takes a cache folder that no other
running process uses.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import count
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, Timeout

from f2v_bench.utils.paths import cache_folder

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
R = TypeVar("R")
_locks: list[BaseFileLock] = []  # kept until the process ends


def setup_numba_cache() -> None:
    """Set a numba cache folder that only this process uses. Call it before numba is imported."""
    if _locks:
        return
    home = cache_folder("numba")
    try:
        home.mkdir(parents=True, exist_ok=True)
        for slot in count():
            lock = FileLock(home / f"{slot}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _locks.append(lock)
            os.environ["NUMBA_CACHE_DIR"] = str(home / str(slot))
            return
    except OSError:  # no writable folder: compile again in every process
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="f2v-numba-")


def set_up_worker() -> None:
    """Set up a worker process: one thread, Ctrl-C left to the parent, and an end when the parent ends."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup_numba_cache()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def set_up_image_worker() -> None:
    """Set up a worker process whose OpenCV uses one thread: the pool has a process for every core."""
    set_up_worker()
    import cv2

    cv2.setNumThreads(1)


def unordered_map(
    work: Callable[..., R],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    start_worker: Callable[[], None] = set_up_image_worker,
) -> Iterator[tuple[int, R]]:
    """Run jobs in processes and yield each result as soon as it is complete.

    Args:
        work: function at the top level of a module, so that it can be pickled.
        jobs: argument tuples, one per job.
        workers: number of processes; 1 runs the jobs here, in order.
        start_worker: initializer of each process.

    Yields:
        Index of the job and its result.
    """
    if workers <= 1 or len(jobs) <= 1:
        for index, job in enumerate(jobs):
            yield index, work(*job)
        return
    context = multiprocessing.get_context("spawn")  # no fork: the caller may have threads
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=start_worker) as pool:
        try:
            indices = {pool.submit(work, *job): index for index, job in enumerate(jobs)}
            for future in as_completed(indices):
                yield indices[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
