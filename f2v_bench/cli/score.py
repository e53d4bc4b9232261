"""``f2v-bench score``: a folder of WAVs against the real speech of a dataset or folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from f2v_bench.cli.run import (
    AllColumns,
    Cached,
    DataRoot,
    DatasetName,
    Device,
    Limit,
    ListFile,
    Metrics,
    Out,
    Seed,
    Settings,
    Split,
    Workers,
)

EXAMPLES = """
Examples:

f2v-bench score wavs/lipvoicer --dataset lrs3 --data-root ~/data/lrs3

f2v-bench score my_outputs --dataset folder --data-root my_videos --metrics dnsmos,stoi
"""


def score(
    wavs: Annotated[Path, typer.Argument(help="Folder of audio files, however nested, named after the clip ids.")],
    dataset: DatasetName = "demo",
    data_root: DataRoot = None,
    split: Split = "test",
    list_file: ListFile = None,
    label: Annotated[str | None, typer.Option(help="Name of the row. Default: the folder's name.")] = None,
    metrics: Metrics = None,
    settings: Settings = None,
    limit: Limit = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    all_columns: AllColumns = False,
    workers: Workers = None,
    cache: Cached = True,
) -> int:
    """Score a folder of audio files, with the real speech scored beside it."""
    from f2v_bench.cli.options import ModelSpec, load_dataset
    from f2v_bench.cli.session import evaluate

    name = label or wavs.resolve().name
    spec = ModelSpec.parse(f"{name.replace(' ', '_')}=precomputed:{wavs}")
    opened = load_dataset(dataset, data_root, split, list_file)
    return evaluate(
        dataset=opened,
        specs=[ModelSpec.parse("ground-truth"), spec],
        metric_names=metrics or [],
        settings=settings or [],
        limit=limit,
        seed=seed,
        device=device,
        out=out or Path("runs") / f"score-{spec.label}-{opened.name}-{opened.split}",
        all_columns=all_columns,
        find_face=None,
        workers=workers,
        cached=cache,
        notes=[],
        command=["f2v-bench", *sys.argv[1:]],
    )
