"""``f2v-bench dub``: write a video with speech synthesized from its talking face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from f2v_bench.cli.console import console, error_console
from f2v_bench.cli.run import Device, Seed

EXAMPLES = """
Examples:

f2v-bench dub talk.mp4 -o dubbed.mp4 --weights demo-tiny

f2v-bench dub talk.mp4 -o dubbed.mkv --weights model.safetensors --speaker-reference voice.wav --sheet dubbed.png

f2v-bench dub talk.mpg -o dubbed.mp4 --weights demo-tiny --set steps=20 --seed 1

The picture is copied unchanged; -o takes .mp4, .m4v, .mov and .mkv.
"""


def dub(
    video: Annotated[Path, typer.Argument(help="Video of one talking face; its audio track is not used.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Video to write.")],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME[:ARGUMENT]", help="System that takes face crops as input.")
    ] = "ours",
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Weights of the model; 'ours' without this lists those that ship."),
    ] = None,
    speaker_reference: Annotated[
        Path | None,
        typer.Option(help="Audio or video file for the speaker embedding. Default: computed from the face."),
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="Precomputed face landmarks (.npy, .npz). Default: VIDEO's NAME.landmarks.npy.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Setting of the model, for example steps=10."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also draw frames, crops, spectrogram and F0 of the result (.png, .pdf, .svg).")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Dub a video: detect the face, synthesize its speech, and write a copy of the video with it."""
    from f2v_bench import api
    from f2v_bench.cli.parsing import parse_options

    with _step_printer() as start_step:
        result = api.dub(
            video,
            out,
            system=model,
            weights=weights,
            speaker_reference=speaker_reference,
            landmarks=landmarks,
            settings=parse_options(settings),
            sheet=sheet,
            seed=seed,
            device=device,
            on_step=start_step,
        )
    faces = f"face visible in {result.visible:.0%} of {result.frames} frames, by {result.detector}"
    for line in (faces, result.provenance):
        error_console().print(line, markup=False, highlight=False)
    for path in (result.path, result.sheet):
        if path is not None:
            console().print(str(path), markup=False, highlight=False, soft_wrap=True)
    return 0


@contextmanager
def _step_printer() -> Iterator[Callable[[str], None]]:
    """Provide a function that starts a step; a terminal shows the time of each step, other outputs a line."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    messages = error_console()
    columns = SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as bars:

        def finish() -> None:
            for task in bars.task_ids:
                bars.update(task, total=1, completed=1)

        def start_step(description: str) -> None:
            finish()
            bars.add_task(description, total=None)
            if not messages.is_terminal:
                messages.print(description, markup=False, highlight=False)

        yield start_step
        finish()
