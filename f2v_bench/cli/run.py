"""``f2v-bench run``: synthesize and score a dataset into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from f2v_bench.datasets.base import Dataset

EXAMPLES = """
Examples:

f2v-bench run

f2v-bench run -m ground-truth -m resynthesis -m shuffled -d grid --data-root ~/data/grid

f2v-bench run -d lrs3 --data-root ~/data/lrs3 -m ground-truth -m lipvoicer=precomputed:wavs/lipvoicer

f2v-bench run -m ground-truth -m ours -d grid --data-root ~/data/grid --set ours.steps=10

f2v-bench run -m ours -m ours-gt-speaker=ours -m svts --set ours-gt-speaker.speaker_reference=same-clip

f2v-bench run -d demo --metrics wer,dnsmos --set dnsmos.compat=all-segments --limit 10
"""

Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="[LABEL=]NAME[:ARGUMENT]",
        help="System to run (listed by doctor); may be given several times. Default: ground-truth, resynthesis, ours.",
    ),
]
DatasetName = Annotated[str, typer.Option("--dataset", "-d", help="Corpus; listed by 'f2v-bench data list'.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="Folder (or manifest CSV) of the corpus. Default: $F2V_DATA/NAME.")
]
Split = Annotated[str, typer.Option(help="Split of the corpus.")]
ListFile = Annotated[
    Path | None, typer.Option("--list", help="File with one clip id per line, instead of the split's list.")
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Weights of the models that have a choice. Default: those of the corpus."),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--speaker-reference",
        metavar="face|same-clip|other-clip",
        help="Source of the speaker embedding, for models with a choice; printed with their results. Default: face.",
    ),
]
Metrics = Annotated[
    list[str] | None, typer.Option("--metrics", help="Metrics, separated by commas. Default: all that are available.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME.OPTION=VALUE", help="Setting of one metric or model; may be given several times."
    ),
]
Limit = Annotated[int | None, typer.Option(help="Number of clips, from the start of the list. Default: all.")]
Seed = Annotated[int, typer.Option(help="Random seed; the draws of a clip depend on it and on the clip id.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder. Default: runs/DATASET-SPLIT[-sSEED].")]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of scoring processes. Default: one per core.")]
Cached = Annotated[bool, typer.Option("--cache/--no-cache", help="Reuse scores of unchanged audio from earlier runs.")]
Columns = Annotated[list[str] | None, typer.Option(help="Columns, separated by commas. Default: the headline columns.")]
AllColumns = Annotated[bool, typer.Option("--all-columns", help="Show all columns, not only the headline columns.")]
Landmarks = Annotated[Path | None, typer.Option(help="Folder of precomputed face landmarks (.npy), one file per clip.")]


def run(
    model: Model = None,
    dataset: DatasetName = "demo",
    data_root: DataRoot = None,
    split: Split = "test",
    list_file: ListFile = None,
    metrics: Metrics = None,
    settings: Settings = None,
    limit: Limit = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    all_columns: AllColumns = False,
    faces: Annotated[bool, typer.Option(help="Detect the talking face of every clip first.")] = True,
    landmarks: Landmarks = None,
    weights: Weights = None,
    speaker_reference: Reference = None,
    workers: Workers = None,
    cache: Cached = True,
) -> int:
    """Run systems on a corpus, score them, and print a table. The same command resumes an interrupted run."""
    from f2v_bench import api
    from f2v_bench.cli.console import ProgressBars
    from f2v_bench.cli.output import print_log, print_outcome
    from f2v_bench.cli.parsing import parse_settings

    corpus = api.load_dataset(dataset, root=data_root, split=split, list_file=list_file)
    with ProgressBars() as bars:
        result = api.evaluate(
            model or None,
            corpus,
            metrics,
            weights=weights,
            speaker_reference=speaker_reference,
            landmarks=landmarks,
            settings=parse_settings(settings),
            limit=limit,
            seed=seed,
            device=device,
            faces=faces,
            workers=workers,
            use_cache=cache,
            out=out or default_folder(corpus, seed),
            command=["f2v-bench", *sys.argv[1:]],
            progress=bars,
            log=print_log,
        )
    return print_outcome(result, all_columns=all_columns)


def default_folder(dataset: Dataset, seed: int) -> Path:
    """Return the default run folder: ``runs/DATASET-SPLIT[-sSEED]``, or the name of the list for the split."""
    part = dataset.options.list_file.stem if dataset.options.list_file else dataset.split
    return Path("runs") / f"{dataset.name}-{part}{f'-s{seed}' if seed else ''}"
