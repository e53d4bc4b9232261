"""Tables of the run folder, built from its journals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from f2v_bench.clip import Clip
from f2v_bench.runs.folder import AudioRecord, FaceRecord, RunFolder, column_names
from f2v_bench.runs.spec import RunSpec, RunSummary
from f2v_bench.scoring.records import OK, RowKey, ScoreRow

CLIP_COLUMNS = ["id", "speaker", "text", "split", "duration_s", "face_status", "face_visible"]
FACE_NOT_DETECTED = "not_detected"  # status of a clip in a run without face detection


@dataclass(frozen=True, slots=True)
class Failure:
    """One clip without a face, a waveform or a value.

    Attributes:
        kind: FailureKind.
        system: label of the system, empty for a face.
        clip: clip id.
        column: metric column, empty for a face or a waveform.
        detail: one line about the file or value.
    """

    kind: str
    system: str
    clip: str
    column: str
    detail: str

    @property
    def where(self) -> str:
        """``system/clip``, or the clip id of a face."""
        return f"{self.system}/{self.clip}" if self.system else self.clip


def write_tables(
    spec: RunSpec,
    folder: RunFolder,
    summary: RunSummary,
    faces: Mapping[str, FaceRecord],
    keys: Sequence[RowKey],
) -> None:
    """Write the tables of this run and add its failures to the summary.

    Rows of other systems, signatures or inputs stay in the shards.

    Args:
        spec: specification of the run.
        folder: run folder.
        summary: summary that receives the failures.
        faces: face records by clip id.
        keys: keys of the rows that belong to this run, in their order.
    """
    clips = {clip.id for clip in spec.clips}
    labels = {label for label, _ in spec.systems}
    audio = {k: r for k, r in folder.audio_records().items() if r.clip in clips and r.system in labels}
    rows = folder.score_rows(set(keys))
    scores = [rows[key] for key in keys]
    summary.failures = group_failures(find_failures(faces.values(), audio.values(), scores))
    folder.write_table("clips", (_clip_row(clip, faces.get(clip.id)) for clip in spec.clips), CLIP_COLUMNS)
    folder.write_table("audio", (asdict(record) for record in audio.values()), column_names(AudioRecord))
    folder.write_table("scores", (row.as_dict() for row in scores), column_names(ScoreRow))


def read_failures(folder: RunFolder) -> list[Failure]:
    """Return every failure of a finished run.

    Raises:
        F2VError: not a run folder, or the run did not finish.
    """
    clips = folder.table("clips").set_index("id")["face_status"]
    faces = folder.face_records()
    checked = [face for clip, face in faces.items() if clips.get(clip, FACE_NOT_DETECTED) != FACE_NOT_DETECTED]
    audio, scores = (table[table["status"] != OK] for table in (folder.table("audio"), folder.table("scores")))
    return list(
        find_failures(
            checked,
            (AudioRecord(*row) for row in audio[column_names(AudioRecord)].itertuples(index=False)),
            (ScoreRow(*row) for row in scores[column_names(ScoreRow)].itertuples(index=False)),
        )
    )


def find_failures(
    faces: Iterable[FaceRecord], audio: Iterable[AudioRecord], scores: Iterable[ScoreRow]
) -> Iterator[Failure]:
    """Yield a failure for every record whose status is not ``ok``."""
    for face in faces:
        if face.status != OK:
            yield Failure(face.status, "", face.clip, "", face.detail)
    for record in audio:
        if record.status != OK:
            yield Failure(record.status, record.system, record.clip, "", record.detail)
    for row in scores:
        if row.status != OK:
            detail = json.loads(row.detail).get("failure", "") if row.detail else ""
            yield Failure(row.status, row.system, row.clip, row.column, detail)


def group_failures(failures: Iterable[Failure]) -> dict[str, dict[str, str]]:
    """Group failures by kind: ``system/clip``, or the clip id of a face, to the first detail."""
    groups: dict[str, dict[str, str]] = {}
    for failure in failures:
        detail = ": ".join(text for text in (failure.column, failure.detail) if text)
        groups.setdefault(failure.kind, {}).setdefault(failure.where, detail)
    return groups


def _clip_row(clip: Clip, face: FaceRecord | None) -> dict[str, Any]:
    return {
        "id": clip.id,
        "speaker": clip.speaker,
        "text": clip.text,
        "split": clip.split,
        "duration_s": clip.duration_s,
        "face_status": face.status if face else FACE_NOT_DETECTED,
        "face_visible": face.visible if face else None,
    }
