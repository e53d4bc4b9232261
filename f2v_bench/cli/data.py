"""``f2v-bench data``: list corpora, inspect clips, render or download a corpus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2v_bench.cli.console import console, error_console
from f2v_bench.cli.run import DataRoot, Split
from f2v_bench.errors import F2VError
from f2v_bench.registry import DATASETS

if TYPE_CHECKING:
    from f2v_bench.clip import Clip

app = typer.Typer(no_args_is_help=True, help="Corpora: list, inspect, make, pull.")


@app.command("list")
def list_() -> int:
    """List every corpus with its license and its location."""
    from rich.table import Table

    table = Table("name", "description", "license", "here", title="corpora", title_justify="left", show_lines=True)
    for name in DATASETS.names():
        dataset = DATASETS.load(name)
        table.add_row(name, dataset.summary, dataset.license, find_corpus(name))
    console().print(table)
    return 0


def find_corpus(name: str) -> str:
    """Return ``yes: ROOT``, or ``no:`` with instructions."""
    from f2v_bench.datasets.base import DatasetOptions

    try:
        return f"yes: {DATASETS.load(name).find_root(DatasetOptions())}"
    except F2VError as error:
        return f"no: {error.do}"


@app.command(
    epilog="Examples:\n\nf2v-bench data inspect talk.mp4 -o sheet.png\n\nf2v-bench data inspect s1/bbaf2n -d grid"
)
def inspect(
    clip: Annotated[str, typer.Argument(help="Video file, or the id of a clip of --dataset.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Image to write (.png or .pdf).")] = Path("sheet.png"),
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Corpus of the clip id.")] = None,
    data_root: DataRoot = None,
    split: Split = "test",
) -> int:
    """Draw frames, boxes, lip crops, aligned faces, mel spectrogram and F0 of one clip in one image."""
    from f2v_bench.face.sheet import inspect_sheet
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    resolved = _find_clip(clip, dataset, data_root, split)
    if not os.access(out.parent, os.W_OK):
        raise F2VError(f"the image '{out}' cannot be written", "choose another place with -o")
    inspect_sheet(resolved, out)
    console().print(str(out), markup=False, highlight=False)
    return 0


def _find_clip(name: str, dataset: str | None, root: Path | None, split: str) -> Clip:
    from f2v_bench.api import load_dataset
    from f2v_bench.clip import Clip
    from f2v_bench.errors import suggest

    path = Path(name)
    if dataset is None:
        if not path.is_file():
            raise F2VError(f"'{name}' is not a file", "for a clip id, name its corpus with --dataset")
        return Clip(path.stem, path.parent.name, path, path, None, split)
    clips = {clip.id: clip for clip in load_dataset(dataset, root=root, split=split).clips()}
    if name not in clips:
        hint = suggest(name, list(clips)[:10])
        raise F2VError(f"'{dataset}' has no clip '{name}' in split '{split}'", hint)
    return clips[name]


@app.command("make-demo", epilog="Example:\n\nf2v-bench data make-demo --clips 2000 -o data/demo --workers 2")
def make_demo(
    clips: Annotated[int, typer.Option(min=1, help="Number of clips in train, val and test together.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus; an unfinished corpus is completed.")],
    seed: Annotated[int, typer.Option(help="Random seed: the same seed renders the same corpus.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = max(1, os.cpu_count() or 1),
) -> int:
    """Render the synthetic talking-face corpus: faces, lips, expression and espeak-ng speech."""
    from f2v_bench.cli.console import ProgressBars
    from f2v_bench.datasets.demo.corpus import generate
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    with ProgressBars() as bars:
        bars.start_stage("clips", clips, 0)
        done = 0

        def progress(finished: int, _total: int) -> None:
            nonlocal done
            bars.advance("clips", finished - done)
            done = finished

        root = generate(out, clips, seed=seed, workers=workers, progress=progress)
    console().print(f"{root}\nuse it: f2v-bench run --dataset demo --data-root {root}", markup=False, highlight=False)
    return 0


@app.command(epilog="Example:\n\nf2v-bench data pull grid --speaker s1 --data-root ~/data/grid")
def pull(
    name: Annotated[str, typer.Argument(help="Corpus; only 'grid' can be downloaded.")],
    speaker: Annotated[list[str], typer.Option("--speaker", help="Speaker to download; may be given several times.")],
    data_root: DataRoot = None,
    record: Annotated[str | None, typer.Option(help="Address of a mirror of the Zenodo record.")] = None,
) -> int:
    """Download a corpus from its publisher; an interrupted download is resumed."""
    from f2v_bench.cli.download_bars import download_bars
    from f2v_bench.datasets.zenodo import GRID_RECORD, pull_grid

    if name != "grid":
        raise F2VError(
            f"'{name}' cannot be pulled", "only grid is open; 'f2v-bench data list' has instructions for the others"
        )
    data = os.environ.get("F2V_DATA")
    root = data_root or (Path(data) / name if data else None)
    if root is None:
        raise F2VError("there is no folder to pull into", "pass one with --data-root, or set F2V_DATA")
    for one in speaker:
        with download_bars() as progress:
            pull_grid(one, root, base_url=record or GRID_RECORD, progress=progress)
        error_console().print(f"{one}: complete", highlight=False)
    console().print(f"use it: f2v-bench run --dataset grid --data-root {root}", markup=False, highlight=False)
    return 0
