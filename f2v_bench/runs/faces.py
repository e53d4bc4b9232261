"""Face detection stage of a run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure
from f2v_bench.runs.folder import FaceRecord, Journal, RunFolder
from f2v_bench.runs.spec import ProgressCallback, RunSpec
from f2v_bench.scoring.records import OK
from f2v_bench.utils.environment import cores


def face_finder(landmarks: Path | None) -> Callable[[Clip], float]:
    """Return a function that crops a clip's face (into the cache) and returns the share of frames it is visible in.

    The function may run in several threads at once. OpenCV is imported here because its first import is not
    thread-safe: a second thread would get a partly initialized module.

    Args:
        landmarks: folder of precomputed landmarks, or None.
    """
    import cv2  # noqa: F401

    from f2v_bench.face.crops import face_crops

    def find_face(clip: Clip) -> float:
        return float(face_crops(clip.video, landmarks=landmarks).visible.mean())

    return find_face


def detect_faces(
    spec: RunSpec, folder: RunFolder, journal: Journal, progress: ProgressCallback
) -> dict[str, FaceRecord]:
    """Detect the talking face of every clip in parallel threads; decoding and detection release the GIL.

    Returns:
        Records by clip id; empty where the run has no face detection.
    """
    if spec.find_face is None:
        return {}
    known = folder.face_records()
    records = {c.id: known[c.id] for c in spec.clips if c.id in known and known[c.id].video == file_stamp(c)}
    todo = [clip for clip in spec.clips if clip.id not in records]
    progress.start_stage("faces", len(spec.clips), len(records))
    pool = ThreadPoolExecutor(max_workers=cores())
    try:
        for record in pool.map(partial(detect_face, spec.find_face), todo):
            journal.append([record])
            records[record.clip] = record
            progress.advance("faces", 1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return records


def detect_face(find_face: Callable[[Clip], float], clip: Clip) -> FaceRecord:
    """Detect the face of one clip and return its record, also where that fails."""
    stamp = file_stamp(clip)
    try:
        return FaceRecord(clip.id, OK, "", find_face(clip), stamp)
    except ClipFailure as failure:
        return FaceRecord(clip.id, failure.kind, failure.detail, 0.0, stamp)


def file_stamp(clip: Clip) -> str:
    """Return size and modification time of the clip's video, which change when the file is replaced."""
    try:
        stat = clip.video.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size}:{stat.st_mtime_ns}"
