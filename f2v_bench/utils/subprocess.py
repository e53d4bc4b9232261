"""External programs, run in a process group of their own with a time limit and a log."""

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
    """Run a command to its end and return its failure, or None where it succeeded.

    Args:
        command: program and arguments, passed without a shell.
        cwd: working directory.
        env: variables added to the environment of this process.
        log: file to which the output is appended.
        timeout_s: time limit in seconds, after which the program and its children are killed.

    Returns:
        ``process_failed`` with the exit code and the last printed line, or ``timeout``.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        start = output.tell()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # lets us kill its children with it
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
    return ClipFailure(FailureKind.PROCESS_FAILED, f"exit code {code}; last line: {_last_line(log, start)}")


def _last_line(log: Path, start: int) -> str:
    """Return the last line that is not blank after byte ``start`` of a log."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "none"
