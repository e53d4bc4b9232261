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
    label: Annotated[str | None, typer.Option(help="Label of the row. Default: name of the folder.")] = None,
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
    """Score a folder of audio files next to the real speech."""
    from f2v_bench import api
    from f2v_bench.cli.console import ProgressBars
    from f2v_bench.cli.output import print_log, print_outcome
    from f2v_bench.cli.parsing import parse_settings

    name = (label or api.wavs_label(wavs)).replace(" ", "_")
    corpus = api.load_dataset(dataset, root=data_root, split=split, list_file=list_file)
    with ProgressBars() as bars:
        result = api.score(
            wavs,
            corpus,
            metrics,
            label=name,
            settings=parse_settings(settings),
            limit=limit,
            seed=seed,
            device=device,
            workers=workers,
            use_cache=cache,
            out=out or Path("runs") / f"score-{name}-{corpus.name}-{corpus.split}",
            command=["f2v-bench", *sys.argv[1:]],
            progress=bars,
            log=print_log,
        )
    return print_outcome(result, all_columns=all_columns)
