"""Terminal output of results, messages and progress."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

PLAIN_WIDTH = 160  # columns of output to a file or a pipe


def console() -> Console:
    """Return a console on standard output, for tables and paths."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


def error_console() -> Console:
    """Return a console on standard error, for progress, warnings and errors."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


class ProgressBars:
    """Progress bars with rate and time left; without a terminal, one line at the start of each stage."""

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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def start_stage(self, name: str, total: int, done: int) -> None:
        """Add a bar of ``total`` clips, ``done`` of which are finished."""
        if self._progress:
            self._progress.start()
            self._tasks[name] = self._progress.add_task(name, total=total, completed=done, rate="")
        else:
            finished = f", {done} done already" if done else ""
            self._console.print(f"{name}: {total} clips{finished}", highlight=False)

    def advance(self, name: str, clips: int) -> None:
        """Add finished clips to a bar."""
        if self._progress:
            task = self._tasks[name]
            self._progress.advance(task, clips)
            speed = next(one.speed for one in self._progress.tasks if one.id == task)
            self._progress.update(task, rate=f"{speed:.1f} clips/s" if speed else "")


class TrainingProgressBars(ProgressBars):
    """Progress bars of counted tasks; between two tasks the terminal belongs to Lightning's own bar."""

    def __init__(self) -> None:
        super().__init__()
        self._done: dict[str, int] = {}

    def __enter__(self) -> TrainingProgressBars:
        super().__enter__()
        return self

    def update(self, task: str, done: int, count: int) -> None:
        """Show that ``done`` of ``count`` items of a task are finished."""
        if self._progress:
            self._progress.start()
        if task not in self._done:
            self.start_stage(task, count, done)
        else:
            self.advance(task, done - self._done[task])
        self._done[task] = done
        if self._progress and done >= count:
            self._progress.stop()
