"""What every process of the suite sets up before it computes.

numba keeps machine code beside the packages that use it. Two processes that compile the same function for the
first time can leave a mixed-up cache behind, and every later process then crashes in it. So each process takes a cache
folder that no other living process has.
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
_held: list[BaseFileLock] = []  # for the life of the process


def setup_numba_cache() -> None:
    """Give numba a cache folder of this process's own; to be called before anything imports numba."""
    if _held:
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
            _held.append(lock)
            os.environ["NUMBA_CACHE_DIR"] = str(home / str(slot))
            return
    except OSError:  # nowhere to keep it: compile anew in every process
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="f2v-numba-")


def set_up_worker() -> None:
    """Set a worker process up: one thread, deaf to Ctrl-C (its parent hears it), and gone when its parent is."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup_numba_cache()
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def set_up_picture_worker() -> None:
    """As ``set_up_worker``, and OpenCV keeps to one thread: the pool has a process for every core."""
    set_up_worker()
    import cv2

    cv2.setNumThreads(1)


def unordered_map(
    work: Callable[..., R],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    start_worker: Callable[[], None] = set_up_picture_worker,
) -> Iterator[tuple[int, R]]:
    """Do jobs in processes, and say which one is done as soon as it is.

    Args:
        work: of a module, so that processes find it.
        jobs: its arguments, one tuple a job.
        workers: processes; one works here, in the order of the jobs.
        start_worker: sets a process up.

    Yields:
        The place of a job and its result.
    """
    if workers <= 1 or len(jobs) <= 1:
        for at, job in enumerate(jobs):
            yield at, work(*job)
        return
    context = multiprocessing.get_context("spawn")  # not forked: the caller may have threads
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=start_worker) as pool:
        try:
            places = {pool.submit(work, *job): at for at, job in enumerate(jobs)}
            for future in as_completed(places):
                yield places[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
