"""Carry out a run on this machine: faces, synthesis, scores, tables; and go on where an earlier start stopped."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.runs.folder import AudioRecord, FaceRecord, Journal, RunFolder
from f2v_bench.runs.spec import RunPlan, RunSummary, Watcher, manifest_of
from f2v_bench.runs.tables import write_tables
from f2v_bench.scoring.cache import ScoreCache, cache_file
from f2v_bench.scoring.pool import Job, score_jobs
from f2v_bench.scoring.records import OK, RowKey, ScoreRow, is_done
from f2v_bench.scoring.scorer import ScoringItem
from f2v_bench.systems.base import System
from f2v_bench.utils.environment import cores

T = TypeVar("T")


def execute(plan: RunPlan, folder: RunFolder, watcher: Watcher) -> RunSummary:
    """Run the plan into the folder; whatever stands there already is kept.

    Raises:
        F2VError: the folder cannot be written, is in use, or holds a run of another list or seed.
        KeyboardInterrupt: passes through; what was computed stands.
    """
    summary = RunSummary()
    manifest = manifest_of(plan)
    _refuse_other_run(folder, manifest)
    with Journal(folder) as journal:
        _refuse_other_run(folder, manifest)
        folder.write_manifest({**manifest, "finished": None})
        faces = _find_faces(plan, folder, journal, watcher)
        for label, system in plan.systems:
            _synthesize(plan, label, system, folder, journal, watcher, summary, faces)
        wanted = _score(plan, folder, journal, watcher, summary)
        write_tables(plan, folder, summary, faces, wanted)
        folder.write_manifest({**manifest, "finished": datetime.now(UTC).isoformat(timespec="seconds")})
    return summary


def _refuse_other_run(folder: RunFolder, manifest: dict[str, Any]) -> None:
    """Two lists or two seeds in one folder would make a table of neither."""
    if not folder.exists():
        if folder.path.exists() and not folder.path.is_dir():
            raise F2VError(f"the output folder '{folder.path}' is a file", "choose another with --out")
        return
    old = folder.manifest()
    ours = {"dataset": manifest["dataset"]["list_id"], "seed": manifest["seed"]}
    theirs = {"dataset": old["dataset"]["list_id"], "seed": old["seed"]}
    for name, mine in ours.items():
        if theirs[name] != mine:
            raise F2VError(
                f"'{folder.path}' holds a run with {name} {theirs[name]!r}, this one has {mine!r}",
                "choose another folder with --out",
            )


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive pieces of at most ``size``."""
    return (items[first : first + size] for first in range(0, len(items), size))


def _find_faces(plan: RunPlan, folder: RunFolder, journal: Journal, watcher: Watcher) -> dict[str, FaceRecord]:
    """Look for the talking face of every clip, several clips at a time (decoding and detection leave Python)."""
    from concurrent.futures import ThreadPoolExecutor

    if plan.find_face is None:
        return {}
    known = folder.face_records()
    found = {c.id: known[c.id] for c in plan.clips if c.id in known and known[c.id].video == _stamp(c)}
    todo = [clip for clip in plan.clips if clip.id not in found]
    watcher.stage("faces", len(plan.clips), len(found))
    look = partial(_look, plan.find_face)
    pool = ThreadPoolExecutor(max_workers=cores())
    try:
        for record in pool.map(look, todo):
            journal.append([record])
            found[record.clip] = record
            watcher.advance("faces", 1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found


def _stamp(clip: Clip) -> str:
    """Tells a video file from another that took its place."""
    try:
        stat = clip.video.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def _look(find_face: Callable[[Clip], float], clip: Clip) -> FaceRecord:
    stamp = _stamp(clip)
    try:
        return FaceRecord(clip.id, OK, "", find_face(clip), stamp)
    except ClipFailure as failure:
        return FaceRecord(clip.id, failure.kind, failure.detail, 0.0, stamp)


def _synthesize(
    plan: RunPlan,
    label: str,
    system: System,
    folder: RunFolder,
    journal: Journal,
    watcher: Watcher,
    summary: RunSummary,
    faces: dict[str, FaceRecord],
) -> None:
    records = folder.audio_records()
    todo: list[Clip] = []
    for clip in plan.clips:
        old = records.get((label, clip.id))
        kept = old and old.fingerprint == system.fingerprint(clip, plan.seed) and is_done(old.status)
        if not kept or (old and old.status == OK and not folder.audio_path(label, clip.id).is_file()):
            todo.append(clip)
    stage = f"{label}: synthesis"
    watcher.stage(stage, len(plan.clips), len(plan.clips) - len(todo))
    for batch in batches(todo, system.batch_size):
        begin = time.perf_counter()
        outcomes = _outcomes(plan, system, batch, folder, faces)
        seconds = (time.perf_counter() - begin) / len(batch)
        made = [
            _store(label, system, clip, outcome, plan.seed, seconds, folder)
            for clip, outcome in zip(batch, outcomes, strict=True)
        ]
        journal.append(made)
        summary.synthesized += len(made)
        watcher.advance(stage, len(batch))


def _outcomes(
    plan: RunPlan, system: System, batch: Sequence[Clip], folder: RunFolder, faces: dict[str, FaceRecord]
) -> list[Waveform | ClipFailure]:
    blind = {
        clip.id: ClipFailure(FailureKind(faces[clip.id].status), faces[clip.id].detail)
        for clip in batch
        if system.needs_faces and clip.id in faces and faces[clip.id].status != OK
    }
    ready = [clip for clip in batch if clip.id not in blind]
    made = iter(_call(plan, system, ready, folder))
    return [blind[clip.id] if clip.id in blind else next(made) for clip in batch]


def _call(plan: RunPlan, system: System, batch: Sequence[Clip], folder: RunFolder) -> list[Waveform | ClipFailure]:
    """Call the system; a batch that breaks is tried clip by clip, to find out whose fault it is."""
    if not batch:
        return []
    try:
        outcomes = system.synthesize(batch, plan.seed)
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{system.name} returned {len(outcomes)} outcomes for {len(batch)} clips")
        return outcomes
    except F2VError:  # what ails every clip, with the remedy: it ends the run
        raise
    except Exception as error:  # a stranger's system may raise anything, and must not end the run
        if len(batch) > 1:
            return [outcome for clip in batch for outcome in _call(plan, system, [clip], folder)]
        folder.log_error(f"{system.name} on {batch[0].id}\n{traceback.format_exc()}")
        return [ClipFailure(FailureKind.SYNTHESIS_FAILED, f"{type(error).__name__}: {error}")]


def _store(
    label: str,
    system: System,
    clip: Clip,
    outcome: Waveform | ClipFailure,
    seed: int,
    seconds: float,
    folder: RunFolder,
) -> AudioRecord:
    fingerprint = system.fingerprint(clip, seed)
    try:
        if isinstance(outcome, ClipFailure):
            raise outcome
        stored, clipped = folder.store(label, clip.id, outcome.validate(f"the output of {label}"))
    except ClipFailure as failure:
        return AudioRecord(label, clip.id, failure.kind, failure.detail, fingerprint, seconds=seconds)
    return AudioRecord(
        system=label,
        clip=clip.id,
        status=OK,
        detail="",
        fingerprint=fingerprint,
        sha256=stored.sha256,
        sample_rate=stored.sample_rate,
        duration_s=stored.duration_s,
        seconds=seconds,
        clipped=clipped,
    )


def _score(plan: RunPlan, folder: RunFolder, journal: Journal, watcher: Watcher, summary: RunSummary) -> list[RowKey]:
    """Score what is not scored yet; returns the keys of every row that belongs to this plan."""
    states = folder.score_states()
    wanted: list[RowKey] = []
    jobs: list[Job] = []
    candidates = _candidates(plan, folder)
    with ScoreCache(cache_file()) if plan.cached else nullcontext() as cache:
        for metric in plan.metrics:
            signature = metric.signature
            todo: list[ScoringItem] = []
            known: list[ScoreRow] = []
            for candidate in candidates:
                inputs = candidate.inputs(metric)
                keys = [(candidate.system, candidate.clip.id, col.name, signature, inputs) for col in metric.columns]
                wanted += keys
                if all(key in states and is_done(states[key]) for key in keys):
                    continue
                found = cache.find(metric, signature, candidate) if cache else None
                if found is None:
                    todo.append(candidate)
                else:
                    known += found
            journal.append(known)
            watcher.stage(metric.name, len(candidates), len(candidates) - len(todo))
            jobs.append(Job(metric, signature, todo))
        metrics = {metric.name: metric for metric in plan.metrics}
        for answer in score_jobs(jobs, plan.workers):
            journal.append(answer.rows)
            if cache:
                cache.keep(metrics[answer.metric], answer.rows)
            for name, clip, trace in answer.troubles:
                folder.log_error(f"{name} on {clip}\n{trace}")
            summary.scored += answer.clips
            watcher.advance(answer.metric, answer.clips)
    return wanted


def _candidates(plan: RunPlan, folder: RunFolder) -> list[ScoringItem]:
    """Clip-major, so that the reference of a clip is decoded once for all systems."""
    records = folder.audio_records()
    return [
        ScoringItem(label, clip, folder.audio_path(label, clip.id), record.sha256, record.duration_s)
        for clip in plan.clips
        for label, _ in plan.systems
        if (record := records[label, clip.id]).status == OK
    ]
