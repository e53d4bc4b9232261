"""Scores by what they depend on: the same audio under the same signature is never scored twice on one machine.

Real speech above all is scored in every run of everybody's; with this its second time costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from f2v_bench.metrics.base import Metric
from f2v_bench.scoring.records import ScoreRow, is_done
from f2v_bench.scoring.scorer import ScoringItem
from f2v_bench.utils.paths import cache_folder

_SCHEMA = "CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, rows TEXT NOT NULL) WITHOUT ROWID"
_BUSY_S = 30.0


def cache_file() -> Path:
    """The machine's own cache."""
    return cache_folder("scores") / "scores.sqlite"


class ScoreCache:
    """Rows of deterministic metrics, by metric, signature and inputs; several processes may use it at once.

    Args:
        path: the database; made where it is missing. One that is damaged is begun anew.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = self._open(path)
        except sqlite3.DatabaseError:
            path.unlink()
            self._base = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        base = sqlite3.connect(path, timeout=_BUSY_S)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute(_SCHEMA)
        return base

    def __enter__(self) -> ScoreCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.commit()
        self._base.close()

    def find(self, metric: Metric, signature: str, candidate: ScoringItem) -> list[ScoreRow] | None:
        """The clip's rows, as a run would have made them, or None."""
        if not metric.deterministic:
            return None
        key = _key(metric.name, signature, candidate.inputs(metric))
        found = self._base.execute("SELECT rows FROM scores WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        rows = [ScoreRow(system=candidate.system, clip=candidate.clip.id, **row) for row in json.loads(found[0])]
        return rows if [row.column for row in rows] == [column.name for column in metric.columns] else None

    def keep(self, metric: Metric, rows: Sequence[ScoreRow]) -> None:
        """Remember what will be the same next time."""
        if not metric.deterministic:
            return
        for clip in _by_clip(rows, len(metric.columns)):
            if all(is_done(row.status) for row in clip):
                told = [{k: v for k, v in row.as_dict().items() if k not in ("system", "clip")} for row in clip]
                key = _key(metric.name, clip[0].signature, clip[0].inputs)
                self._base.execute("INSERT OR REPLACE INTO scores VALUES (?, ?)", (key, json.dumps(told)))
        self._base.commit()


def _key(metric: str, signature: str, inputs: str) -> str:
    return hashlib.sha256(f"{metric}\n{signature}\n{inputs}".encode()).hexdigest()


def _by_clip(rows: Sequence[ScoreRow], columns: int) -> Iterable[Sequence[ScoreRow]]:
    """Rows come clip by clip, a row a column."""
    return (rows[first : first + columns] for first in range(0, len(rows), columns))
