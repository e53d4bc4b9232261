"""Somebody else's program, run in its own process group with a time limit; what it prints is kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from f2v_bench.errors import ClipFailure, FailureKind


def run_process(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float
) -> ClipFailure | None:
    """Run a command to its end; None when it ended well, else what happened.

    Args:
        command: program and arguments; no shell reads them.
        cwd: where it runs.
        env: added to the environment of this process.
        log: what it prints is added to this file.
        timeout_s: after so long it is killed, and with it the children that it started.

    Returns:
        ``process_failed`` with the exit code and the last line it printed, or ``timeout``.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as printed:
        begin = printed.tell()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children can be ended with it
            )
        except OSError as error:
            return ClipFailure(FailureKind.PROCESS_FAILED, f"{command[0]} cannot be started: {error.strerror}")
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return ClipFailure(FailureKind.TIMEOUT, f"{command[0]} did not end within {timeout_s:g} s")
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code == 0:
        return None
    return ClipFailure(FailureKind.PROCESS_FAILED, f"exit code {code}; last line: {_last_line(log, begin)}")


def _last_line(log: Path, begin: int) -> str:
    """The last line with anything on it from byte ``begin`` of a log on."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "none"
