"""``f2v-bench run``: a dataset through systems and metrics, into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
Examples:

f2v-bench run

f2v-bench run -m ground-truth -m resynthesis -m shuffled -d grid --data-root ~/data/grid

f2v-bench run -d lrs3 --data-root ~/data/lrs3 -m ground-truth -m lipvoicer=precomputed:wavs/lipvoicer

f2v-bench run -m ground-truth -m ours -d grid --data-root ~/data/grid --set ours.steps=10

f2v-bench run -m ours -m told=ours -m svts --set told.speaker_reference=same-clip

f2v-bench run -d demo --metrics wer,dnsmos --set dnsmos.compat=all-segments --limit 10
"""

Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="[LABEL=]NAME[:ARGUMENT]",
        help="A system, as doctor lists them; may be given several times. Default: ground-truth, resynthesis and ours.",
    ),
]
DatasetName = Annotated[str, typer.Option("--dataset", "-d", help="The corpus; 'f2v-bench data list' shows all.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="Folder (or manifest CSV) of the corpus. Default: $F2V_DATA/NAME.")
]
Split = Annotated[str, typer.Option(help="Which part of the corpus.")]
ListFile = Annotated[Path | None, typer.Option("--list", help="File of clip ids, one a line, instead of the split's.")]
Weights = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Weights of the models that have a choice. Default: those of the corpus."),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--speaker-reference",
        metavar="face|same-clip|other-clip",
        help="Where models that have a choice know the voice from; printed beside their numbers. Default: the face.",
    ),
]
Metrics = Annotated[
    list[str] | None, typer.Option("--metrics", help="Metrics, separated by commas. Default: all that can be computed.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME.OPTION=VALUE", help="An option of one metric or model.")
]
Limit = Annotated[int | None, typer.Option(help="Only the first N clips of the list.")]
Seed = Annotated[int, typer.Option(help="Decides every random choice, together with the clip.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder. Default: runs/DATASET-SPLIT[-sSEED].")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that score. Default: one a core.")]
Cached = Annotated[bool, typer.Option("--cache/--no-cache", help="Take scores of unchanged audio from earlier runs.")]
Columns = Annotated[list[str] | None, typer.Option(help="Columns, separated by commas. Default: the headline columns.")]
AllColumns = Annotated[bool, typer.Option("--all-columns", help="Also the columns that accompany a headline number.")]
Landmarks = Annotated[
    Path | None, typer.Option(help="Folder of precomputed face landmarks (.npy), one file a clip, for the face crops.")
]


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
    faces: Annotated[bool, typer.Option(help="Look for the talking face in every clip first.")] = True,
    landmarks: Landmarks = None,
    weights: Weights = None,
    speaker_reference: Reference = None,
    workers: Workers = None,
    cache: Cached = True,
) -> int:
    """Run systems on a corpus, score them, and show a table and a picture. The same command resumes a killed run."""
    from f2v_bench.cli.options import ModelSpec, SystemChoices, load_dataset
    from f2v_bench.cli.session import default_models, evaluate, face_finder

    specs = [ModelSpec.parse(text) for text in model or []]
    notes: list[str] = []
    if not specs:
        specs, notes = default_models(dataset, weights)
    return evaluate(
        dataset=load_dataset(dataset, data_root, split, list_file),
        specs=specs,
        metric_names=metrics or [],
        settings=settings or [],
        limit=limit,
        seed=seed,
        device=device,
        out=out,
        all_columns=all_columns,
        find_face=face_finder(landmarks) if faces else None,
        choices=SystemChoices(weights, speaker_reference, landmarks),
        workers=workers,
        cached=cache,
        notes=notes,
        command=["f2v-bench", *sys.argv[1:]],
    )
