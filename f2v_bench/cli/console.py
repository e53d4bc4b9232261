"""The terminal: where results, messages and progress go."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

PLAIN_WIDTH = 160  # columns of output that goes to a file or a pipe


def console() -> Console:
    """Standard output: tables and paths."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


def error_console() -> Console:
    """Standard error: progress, warnings and errors."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


class ProgressBars:
    """Stages of a run as bars with rate and time left; without a terminal, a line at the start of each stage."""

    def __init__(self) -> None:
        self._console = error_console()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressBars:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description:<26}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:>12}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, name: str, total: int, done: int) -> None:
        if self._progress:
            self._tasks[name] = self._progress.add_task(name, total=total, completed=done, rate="")
        else:
            kept = f", {done} done already" if done else ""
            self._console.print(f"{name}: {total} clips{kept}", highlight=False)

    def advance(self, name: str, clips: int) -> None:
        if self._progress:
            task = self._tasks[name]
            self._progress.advance(task, clips)
            speed = next(one.speed for one in self._progress.tasks if one.id == task)
            self._progress.update(task, rate=f"{speed:.1f} clips/s" if speed else "")
