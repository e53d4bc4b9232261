"""Cache of scores by metric, signature and inputs: equal audio is scored once per machine.

Real speech is scored in every run and benefits most.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from f2v_bench.metrics.base import Metric
from f2v_bench.scoring.records import ScoreRow, earlier_signature, is_done
from f2v_bench.scoring.scorer import ScoringItem
from f2v_bench.utils.paths import cache_folder

_SCHEMA = "CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, rows TEXT NOT NULL) WITHOUT ROWID"
_TIMEOUT_S = 30.0  # wait for other processes


def cache_file() -> Path:
    """Return the database of this machine."""
    return cache_folder("scores") / "scores.sqlite"


class ScoreCache:
    """Rows of deterministic metrics; several processes may share the database.

    Args:
        path: database file, created where it is missing and replaced where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = self._open(path)
        except sqlite3.DatabaseError:
            path.unlink()
            self._database = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=_TIMEOUT_S)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(_SCHEMA)
        return database

    def __enter__(self) -> ScoreCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.commit()
        self._database.close()

    def find(self, metric: Metric, signature: str, item: ScoringItem) -> list[ScoreRow] | None:
        """Return the rows of a clip, or None where they are not cached.

        Args:
            metric: metric of the rows.
            signature: signature of the metric; entries under its earlier spelling are found too.
            item: clip of a system.
        """
        if not metric.deterministic:
            return None
        inputs = item.inputs(metric)
        for spelling in dict.fromkeys((signature, earlier_signature(signature))):
            entry = self._database.execute(
                "SELECT rows FROM scores WHERE key = ?", (_key(metric.name, spelling, inputs),)
            ).fetchone()
            if entry is not None:
                rows = [ScoreRow(system=item.system, clip=item.clip.id, **row) for row in json.loads(entry[0])]
                if [row.column for row in rows] == [column.name for column in metric.columns]:
                    return rows
        return None

    def store(self, metric: Metric, rows: Sequence[ScoreRow]) -> None:
        """Store the rows of clips whose status is final in every column.

        Args:
            metric: metric of all rows.
            rows: rows clip by clip, one per column.
        """
        if not metric.deterministic:
            return
        for clip in _by_clip(rows, len(metric.columns)):
            if all(is_done(row.status) for row in clip):
                entry = [{k: v for k, v in row.as_dict().items() if k not in ("system", "clip")} for row in clip]
                key = _key(metric.name, clip[0].signature, clip[0].inputs)
                self._database.execute("INSERT OR REPLACE INTO scores VALUES (?, ?)", (key, json.dumps(entry)))
        self._database.commit()


def _key(metric: str, signature: str, inputs: str) -> str:
    return hashlib.sha256(f"{metric}\n{signature}\n{inputs}".encode()).hexdigest()


def _by_clip(rows: Sequence[ScoreRow], columns: int) -> Iterable[Sequence[ScoreRow]]:
    return (rows[first : first + columns] for first in range(0, len(rows), columns))
