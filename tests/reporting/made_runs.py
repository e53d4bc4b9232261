"""Run folders with synthetic scores, in the format of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from f2v_bench.datasets.base import list_sha256
from f2v_bench.metrics.base import Aggregate, Column
from f2v_bench.runs.folder import RunFolder, column_names
from f2v_bench.runs.tables import CLIP_COLUMNS
from f2v_bench.scoring.records import OK, ScoreRow

WER = Column("wer", "WER", "%", False, 0, 9, "errors", aggregate=Aggregate.RATIO, scale=100, digits=1)
MOS = Column("mos", "MOS", "MOS", True, 1, 5, "rating")
SHARE = Column("share", "share", "", None, 0, 1, "share of frames", headline=False)
WORDS = 6.0
REFERENCE_ROWS = ("ground-truth", "resynthesis")


def clip_ids(count: int, speakers: int = 1) -> list[str]:
    return [f"s{at % speakers}/{at:03d}" for at in range(count)]


def make_run(
    path: Path,
    scores: Mapping[str, Mapping[str, Mapping[str, float]]],
    clips: Sequence[str],
    *,
    columns: Sequence[Column] = (WER, MOS, SHARE),
    signatures: Mapping[str, str] | None = None,
    inputs: str = "audio:text",
    dataset: str = "toys",
) -> RunFolder:
    """Write a finished run from ``scores[system][column][clip]``; clips without a value failed."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    signed = {column.name: f"{column.name}:v1|model:a" for column in columns} | dict(signatures or {})
    manifest: dict[str, Any] = {
        "dataset": {
            "name": dataset,
            "list_id": f"{dataset}/test",
            "clips": len(clips),
            "list_size": len(clips),
            "sha256": list_sha256(clips),
        },
        "seed": 0,
        "systems": [
            {
                "label": label,
                "name": label if label in REFERENCE_ROWS else "precomputed",
                "reference": label in REFERENCE_ROWS,
                "provenance": f"made up as {label}",
                "speaker_reference": "none",
            }
            for label in scores
        ],
        "metrics": [
            {"name": column.name, "signature": signed[column.name], "columns": [asdict(column)]} for column in columns
        ],
        "unavailable": [],
        "notes": [],
    }
    folder.write_manifest(manifest)
    folder.write_table("clips", ({"id": clip, "speaker": clip.partition("/")[0]} for clip in clips), CLIP_COLUMNS)
    rows = []
    for system, by_column in scores.items():
        for column in columns:
            for clip in clips:
                value = by_column.get(column.name, {}).get(clip)
                weight = WORDS if column is WER else 1.0
                status = OK if value is not None else "too_short"
                rows.append(
                    ScoreRow(
                        system, clip, column.name, column.name, value, weight, status, "", signed[column.name], inputs
                    )
                )
    folder.write_table("scores", (row.as_dict() for row in rows), column_names(ScoreRow))
    return folder
