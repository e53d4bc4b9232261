"""Result of an evaluation: a finished run folder, as Python objects."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError
from f2v_bench.reporting.results import Results, read_results
from f2v_bench.reporting.table import html_table, paper_table, write_tables
from f2v_bench.runs.folder import RunFolder
from f2v_bench.runs.tables import Failure, group_failures, read_failures

if TYPE_CHECKING:
    import pandas as pd

FAILURE_COLUMNS = list(Failure.__dataclass_fields__)


class Result:
    """Result of a finished run.

    A notebook shows it as a table.

    Args:
        path: run folder.
        temporary: temporary folder that holds ``path`` and is deleted with this object, or None.

    Raises:
        F2VError: not a run folder.
    """

    def __init__(self, path: Path | str, temporary: TemporaryDirectory[str] | None = None) -> None:
        self.folder = RunFolder(Path(path))
        self.manifest = self.folder.manifest()
        self._temporary = temporary
        self._results: dict[tuple[tuple[str, ...], bool], Results] = {}  # bootstrap intervals take seconds

    @property
    def path(self) -> Path:
        """Run folder."""
        return self.folder.path

    @property
    def scores(self) -> pd.DataFrame:
        """Scores in long form: one row per system, clip and column, with value, weight, status and signature."""
        return self.folder.table("scores")

    @property
    def failures(self) -> pd.DataFrame:
        """Clips without a face, a waveform or a value: columns kind, system, clip, column and detail."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in read_failures(self.folder)], columns=FAILURE_COLUMNS)

    @property
    def failures_by_kind(self) -> dict[str, dict[str, str]]:
        """Failure kind to ``system/clip``, or the clip id of a face, to one line of detail."""
        return group_failures(read_failures(self.folder))

    def results(self, columns: Sequence[str] = (), *, all_columns: bool = False) -> Results:
        """Return the aggregated results, computed once per selection.

        Args:
            columns: names of columns, in their order; none selects the headline columns.
            all_columns: True to select every column.

        Raises:
            F2VError: an unknown column.
        """
        key = (tuple(columns), all_columns)
        if key not in self._results:
            self._results[key] = read_results(self.folder, columns=columns, all_columns=all_columns)
        return self._results[key]

    def table(self, columns: Sequence[str] = (), *, all_columns: bool = False) -> pd.DataFrame:
        """Return the paper table, systems as rows; a cell is ``value [95 % interval] (scored/expected)``.

        Args:
            columns: names of columns, in their order; none selects the headline columns.
            all_columns: True to select every column.

        Raises:
            F2VError: an unknown column.
        """
        return paper_table(self.results(columns, all_columns=all_columns))

    def estimates(self, columns: Sequence[str] = (), *, all_columns: bool = False) -> pd.DataFrame:
        """Return the numbers of ``table`` in long form, unrounded: value, interval and coverage in columns."""
        return self.results(columns, all_columns=all_columns).to_frame()

    def save(self, path: Path | str) -> Path:
        """Copy the run folder and return the new path.

        Args:
            path: new folder.

        Raises:
            F2VError: the folder exists and is not empty, or cannot be written.
        """
        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise F2VError(f"'{target}' already exists and is not an empty folder", "choose another path")
        try:
            shutil.copytree(self.path, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))
        except OSError as error:
            raise F2VError(f"'{target}' cannot be written: {error}", "choose another path") from error
        return target

    def write_report(
        self, columns: Sequence[str] = (), *, all_columns: bool = False, clip: str | None = None
    ) -> tuple[list[Path], F2VError | None]:
        """Write the tables (Markdown, CSV, LaTeX) and the spectrogram grid (PNG, PDF) to the run folder.

        Args:
            columns: names of columns, in their order; none selects the headline columns.
            all_columns: True to select every column.
            clip: clip of the spectrogram grid, or None for the first one that most systems have.

        Returns:
            Paths of the files, and the reason where no spectrogram could be drawn.

        Raises:
            F2VError: an unknown column or clip.
        """
        from f2v_bench.reporting.spectrogram import pick_clip, write_spectrograms

        written = write_tables(self.results(columns, all_columns=all_columns), self.path)
        try:
            return written + write_spectrograms(self.folder, pick_clip(self.folder, clip)), None
        except F2VError as error:  # a run without any audio still has a table
            if clip is not None:
                raise
            return written, error

    def __repr__(self) -> str:
        results = self.results()
        return f"{results.title}\n{paper_table(results).to_string()}\n{self.path}"

    def _repr_html_(self) -> str:
        return html_table(self.results())
