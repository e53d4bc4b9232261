"""Make the run folder's tables from its journals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from f2v_bench.clip import Clip
from f2v_bench.runs.folder import AudioRecord, FaceRecord, RunFolder, column_names
from f2v_bench.runs.spec import RunPlan, RunSummary
from f2v_bench.scoring.records import OK, RowKey, ScoreRow

CLIP_COLUMNS = ["id", "speaker", "text", "split", "duration_s", "face_status", "face_seen"]


def write_tables(
    plan: RunPlan,
    folder: RunFolder,
    summary: RunSummary,
    faces: Mapping[str, FaceRecord],
    wanted: Sequence[RowKey],
) -> None:
    """Tables of this plan alone: rows of other systems, signatures or inputs stay in the shards."""
    clips = {clip.id for clip in plan.clips}
    labels = {label for label, _ in plan.systems}
    audio = {k: r for k, r in folder.audio_records().items() if r.clip in clips and r.system in labels}
    rows = folder.score_rows(set(wanted))
    scores = [rows[key] for key in wanted]
    _note_failures(summary, faces.values(), audio.values(), scores)
    folder.write_table("clips", (_clip_row(clip, faces.get(clip.id)) for clip in plan.clips), CLIP_COLUMNS)
    folder.write_table("audio", (asdict(record) for record in audio.values()), column_names(AudioRecord))
    folder.write_table("scores", (row.as_dict() for row in scores), column_names(ScoreRow))


def _clip_row(clip: Clip, face: FaceRecord | None) -> dict[str, Any]:
    return {
        "id": clip.id,
        "speaker": clip.speaker,
        "text": clip.text,
        "split": clip.split,
        "duration_s": clip.duration_s,
        "face_status": face.status if face else "not_looked_for",
        "face_seen": face.seen if face else None,
    }


def _note_failures(
    summary: RunSummary, faces: Iterable[FaceRecord], audio: Iterable[AudioRecord], scores: Iterable[ScoreRow]
) -> None:
    for face in faces:
        if face.status != OK:
            summary.note(face.status, face.clip, face.detail)
    for record in audio:
        if record.status != OK:
            summary.note(record.status, f"{record.system}/{record.clip}", record.detail)
    for row in scores:
        if row.status != OK:
            detail = json.loads(row.detail).get("failure", "") if row.detail else ""
            summary.note(row.status, f"{row.system}/{row.clip}", f"{row.column}: {detail}" if detail else row.column)
