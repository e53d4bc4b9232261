"""What ``run`` and ``score`` share: open everything, execute the plan, show what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.cli.console import ProgressBars, console, error_console
from f2v_bench.cli.options import (
    ModelSpec,
    SystemChoices,
    load_metrics,
    load_systems,
    parse_settings,
    resolve_device,
    select_metrics,
    take,
)
from f2v_bench.registry import SYSTEMS

if TYPE_CHECKING:
    from f2v_bench.clip import Clip
    from f2v_bench.datasets.base import Dataset
    from f2v_bench.runs.spec import RunSummary

EXIT_SOME_FAILED = 3
SHOWN_FAILURES = 3  # examples of each kind of failure


def default_models(dataset: str, weights: str | None) -> tuple[list[ModelSpec], list[str]]:
    """What ``run`` without ``--model`` takes for a corpus, and what it says about that."""
    from f2v_bench.errors import F2VError
    from f2v_bench.systems.base import SystemOptions

    names, notes = ["ground-truth", "resynthesis"], []
    try:
        SYSTEMS.load("ours")(SystemOptions(dataset=dataset, weights=weights))
        names.append("ours")
    except F2VError as error:
        notes.append(f"without the reference model 'ours': {error.what}; {error.do}")
    return [ModelSpec.parse(name) for name in names], notes


def face_finder(landmarks: Path | None) -> Callable[[Clip], float]:
    """A function that crops a clip's face (into the cache) and returns the share of frames it was seen in.

    It may be called from several threads at once, which must find OpenCV loaded: while one thread imports it for the
    first time, others are handed half of it.
    """
    import cv2  # noqa: F401

    from f2v_bench.face.crops import face_crops

    def look(clip: Clip) -> float:
        return float(face_crops(clip.video, landmarks=landmarks).visible.mean())

    return look


def evaluate(
    *,
    dataset: Dataset,
    specs: Sequence[ModelSpec],
    metric_names: Sequence[str],
    settings: Sequence[str],
    limit: int | None,
    seed: int,
    device: str,
    out: Path | None,
    all_columns: bool,
    find_face: Callable[[Clip], float] | None,
    workers: int | None,
    cached: bool,
    notes: Sequence[str],
    command: Sequence[str],
    choices: SystemChoices | None = None,
) -> int:
    """Execute and show; returns the exit code."""
    from f2v_bench.runs.executor import execute
    from f2v_bench.runs.folder import RunFolder
    from f2v_bench.runs.spec import RunPlan
    from f2v_bench.utils.environment import cores
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    device = resolve_device(device)
    everything = dataset.clips()
    part = dataset.options.list_file.stem if dataset.options.list_file else dataset.split
    path = out or Path("runs") / f"{dataset.name}-{part}{f'-s{seed}' if seed else ''}"
    parsed = parse_settings(settings, [*select_metrics(metric_names), *(spec.label for spec in specs)])
    metrics, unavailable = load_metrics(metric_names, dataset.grammar, device, parsed)
    plan = RunPlan(
        dataset=dataset,
        clips=take(everything, limit),
        listed=len(everything),
        systems=load_systems(specs, dataset, device, path, choices or SystemChoices(), parsed),
        metrics=metrics,
        unavailable=unavailable,
        seed=seed,
        device=device,
        command=command,
        find_face=find_face,
        workers=workers or cores(),
        cached=cached,
        notes=[*notes, *dataset.remarks],
    )
    messages = error_console()
    for note in plan.notes:
        messages.print(f"[yellow]note:[/] {note}", highlight=False)
    for gone in unavailable:
        messages.print(f"[yellow]unavailable:[/] {gone}", highlight=False)
    with ProgressBars() as bars:
        summary = execute(plan, RunFolder(path), bars)
    show_failures(summary)
    print_results(path, all_columns=all_columns)
    return EXIT_SOME_FAILED if summary.failures else 0


def show_failures(summary: RunSummary) -> None:
    """Each kind of failure with its count and a few examples."""
    messages = error_console()
    for kind, where in sorted(summary.failures.items()):
        messages.print(f"[yellow]{kind}[/]: {len(where)}", highlight=False)
        for name, detail in sorted(where.items())[:SHOWN_FAILURES]:
            messages.print(f"  {name}: {detail}", markup=False, highlight=False)
        if len(where) > SHOWN_FAILURES:
            messages.print("  ... all of them are in scores.parquet, audio.parquet and clips.parquet", highlight=False)


def print_results(path: Path, *, columns: Sequence[str] = (), all_columns: bool, clip: str | None = None) -> None:
    """Print the table, write tables and picture, and say where they are."""
    from f2v_bench.errors import F2VError
    from f2v_bench.reporting.results import read_results
    from f2v_bench.reporting.spectrogram import pick_clip, write_spectrograms
    from f2v_bench.reporting.table import terminal_table, write_tables
    from f2v_bench.runs.folder import RunFolder
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    folder = RunFolder(path)
    results = read_results(folder, columns=columns, all_columns=all_columns)
    written = write_tables(results, path)
    trouble = None
    try:
        written += write_spectrograms(folder, pick_clip(folder, clip))
    except F2VError as error:  # a run without any audio still has a table
        if clip is not None:
            raise
        trouble = error
    out = console()
    out.print(terminal_table(results))
    for note in results.notes:
        out.print(f"  {note}", markup=False, highlight=False, style="dim", soft_wrap=True)
    if trouble:
        error_console().print(f"[yellow]no picture:[/] {trouble}", highlight=False)
    for file in written:
        out.print(f"{file}", markup=False, highlight=False, soft_wrap=True)
