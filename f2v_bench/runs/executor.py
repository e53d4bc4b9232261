"""Execution of a run on this machine: faces, synthesis, scores, tables; resumes an interrupted run."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.runs.faces import detect_faces
from f2v_bench.runs.folder import AudioRecord, FaceRecord, Journal, RunFolder
from f2v_bench.runs.spec import ProgressCallback, RunSpec, RunSummary, build_manifest
from f2v_bench.runs.tables import write_tables
from f2v_bench.scoring.cache import ScoreCache, cache_file
from f2v_bench.scoring.pool import Job, score_jobs
from f2v_bench.scoring.records import OK, RowKey, ScoreRow, is_done
from f2v_bench.scoring.scorer import ScoringItem
from f2v_bench.systems.base import System

T = TypeVar("T")


@dataclass(frozen=True)
class _Run:
    """State shared by the stages of a run."""

    spec: RunSpec
    folder: RunFolder
    journal: Journal
    progress: ProgressCallback
    summary: RunSummary
    faces: dict[str, FaceRecord] = field(default_factory=dict)


def run(spec: RunSpec, folder: RunFolder, progress: ProgressCallback) -> RunSummary:
    """Execute a run into a folder; results that the folder already holds are kept.

    Args:
        spec: specification of the run.
        folder: run folder, created where it does not exist.
        progress: progress callback.

    Raises:
        F2VError: the folder cannot be written, is in use, or holds a run of another list or seed.
        KeyboardInterrupt: passed on; finished results are kept.
    """
    manifest = build_manifest(spec)
    _refuse_other_run(folder, manifest)
    with Journal(folder) as journal:
        _refuse_other_run(folder, manifest)
        folder.write_manifest({**manifest, "finished": None})
        state = _Run(spec, folder, journal, progress, RunSummary(), detect_faces(spec, folder, journal, progress))
        for label, system in spec.systems:
            _synthesize(state, label, system)
        keys = _score(state)
        write_tables(spec, folder, state.summary, state.faces, keys)
        folder.write_manifest({**manifest, "finished": datetime.now(UTC).isoformat(timespec="seconds")})
    return state.summary


def _refuse_other_run(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """Raise where the folder holds a run of another list or seed."""
    if not folder.exists():
        if folder.path.exists() and not folder.path.is_dir():
            raise F2VError(f"the output folder '{folder.path}' is a file", "choose another with --out")
        return
    old = folder.manifest()
    wanted = {"dataset": manifest["dataset"]["list_id"], "seed": manifest["seed"]}
    found = {"dataset": old["dataset"]["list_id"], "seed": old["seed"]}
    for name, value in wanted.items():
        if found[name] != value:
            raise F2VError(
                f"'{folder.path}' holds a run with {name} {found[name]!r}, this one has {value!r}",
                "choose another folder with --out",
            )


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield consecutive batches of at most ``size`` items."""
    return (items[first : first + size] for first in range(0, len(items), size))


def _synthesize(state: _Run, label: str, system: System) -> None:
    """Synthesize the clips that have no waveform, or one made from other inputs."""
    spec = state.spec
    records = state.folder.audio_records()
    todo: list[Clip] = []
    for clip in spec.clips:
        old = records.get((label, clip.id))
        is_current = old and old.fingerprint == system.fingerprint(clip, spec.seed) and is_done(old.status)
        if not is_current or (old and old.status == OK and not state.folder.audio_path(label, clip.id).is_file()):
            todo.append(clip)
    stage = f"{label}: synthesis"
    state.progress.start_stage(stage, len(spec.clips), len(spec.clips) - len(todo))
    for batch in batches(todo, system.batch_size):
        start = time.perf_counter()
        outcomes = _synthesize_batch(state, system, batch)
        seconds = (time.perf_counter() - start) / len(batch)
        new = [
            _store(state, label, system, clip, outcome, seconds) for clip, outcome in zip(batch, outcomes, strict=True)
        ]
        state.journal.append(new)
        state.summary.synthesized += len(new)
        state.progress.advance(stage, len(batch))


def _synthesize_batch(state: _Run, system: System, batch: Sequence[Clip]) -> list[Waveform | ClipFailure]:
    """Synthesize the clips of a batch that have a face, where the system needs one; the others fail."""
    faces = state.faces
    faceless = {
        clip.id: ClipFailure(FailureKind(faces[clip.id].status), faces[clip.id].detail)
        for clip in batch
        if system.needs_faces and clip.id in faces and faces[clip.id].status != OK
    }
    outcomes = iter(_call_system(state, system, [clip for clip in batch if clip.id not in faceless]))
    return [faceless[clip.id] if clip.id in faceless else next(outcomes) for clip in batch]


def _call_system(state: _Run, system: System, batch: Sequence[Clip]) -> list[Waveform | ClipFailure]:
    """Call the system; after an error in a batch, call it clip by clip to isolate the failing clip."""
    if not batch:
        return []
    try:
        outcomes = system.synthesize(batch, state.spec.seed)
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{system.name} returned {len(outcomes)} outcomes for {len(batch)} clips")
        return outcomes
    except F2VError:  # an error of every clip, with its remedy: it ends the run
        raise
    except Exception as error:  # a third-party system may raise anything, and must not end the run
        if len(batch) > 1:
            return [outcome for clip in batch for outcome in _call_system(state, system, [clip])]
        state.folder.log_error(f"{system.name} on {batch[0].id}\n{traceback.format_exc()}")
        return [ClipFailure(FailureKind.SYNTHESIS_FAILED, f"{type(error).__name__}: {error}")]


def _store(
    state: _Run, label: str, system: System, clip: Clip, outcome: Waveform | ClipFailure, seconds: float
) -> AudioRecord:
    """Write a waveform to the folder and return its record, also where there is none."""
    fingerprint = system.fingerprint(clip, state.spec.seed)
    try:
        if isinstance(outcome, ClipFailure):
            raise outcome
        stored, clipped = state.folder.store(label, clip.id, outcome.validate(f"the output of {label}"))
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


def _score(state: _Run) -> list[RowKey]:
    """Compute the missing scores; return the keys of every row that belongs to this run."""
    states = state.folder.score_states()
    keys: list[RowKey] = []
    jobs: list[Job] = []
    items = _scoring_items(state)
    with ScoreCache(cache_file()) if state.spec.use_cache else nullcontext() as cache:
        for metric in state.spec.metrics:
            signature = metric.signature
            todo: list[ScoringItem] = []
            cached_rows: list[ScoreRow] = []
            for item in items:
                inputs = item.inputs(metric)
                item_keys = [(item.system, item.clip.id, col.name, signature, inputs) for col in metric.columns]
                keys += item_keys
                if all(key in states and is_done(states[key]) for key in item_keys):
                    continue
                rows = cache.find(metric, signature, item) if cache else None
                if rows is None:
                    todo.append(item)
                else:
                    cached_rows += rows
            state.journal.append(cached_rows)
            state.progress.start_stage(metric.name, len(items), len(items) - len(todo))
            jobs.append(Job(metric, signature, todo))
        _score_jobs(state, jobs, cache)
    return keys


def _score_jobs(state: _Run, jobs: Sequence[Job], cache: ScoreCache | None) -> None:
    metrics = {job.metric.name: job.metric for job in jobs}
    for result in score_jobs(jobs, state.spec.workers):
        state.journal.append(result.rows)
        if cache:
            cache.store(metrics[result.metric], result.rows)
        for name, clip, trace in result.errors:
            state.folder.log_error(f"{name} on {clip}\n{trace}")
        state.summary.scored += result.clips
        state.progress.advance(result.metric, result.clips)


def _scoring_items(state: _Run) -> list[ScoringItem]:
    """Return the waveforms to score, clip by clip, so that a clip's reference is decoded once for all systems."""
    records = state.folder.audio_records()
    return [
        ScoringItem(label, clip, state.folder.audio_path(label, clip.id), record.sha256, record.duration_s)
        for clip in state.spec.clips
        for label, _ in state.spec.systems
        if (record := records[label, clip.id]).status == OK
    ]
