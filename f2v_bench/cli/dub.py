"""``f2v-bench dub``: a video of a talking face, with the speech that a system reads from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2v_bench.cli.console import console, error_console
from f2v_bench.cli.run import Device, Seed
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.registry import SYSTEMS
from f2v_bench.timing import FPS

if TYPE_CHECKING:
    from f2v_bench.face.crops import FaceCrops
    from f2v_bench.systems.base import FaceSystem

EXAMPLES = """
Examples:

f2v-bench dub talk.mp4 -o dubbed.mp4 --weights demo-tiny

f2v-bench dub talk.mp4 -o dubbed.mkv --weights model.safetensors --speaker-reference voice.wav --sheet dubbed.png

f2v-bench dub talk.mpg -o dubbed.mp4 --weights demo-tiny --set steps=20 --seed 1

The picture is copied as it is; -o takes .mp4, .m4v, .mov and .mkv.
"""
_SHEETS = (".png", ".pdf", ".svg")
_SPEAKER = "dub"


def dub(
    video: Annotated[Path, typer.Argument(help="A video of one talking face; its own sound is not listened to.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The video to write.")],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME[:ARGUMENT]", help="Any system that speaks for faces.")
    ] = "ours",
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Weights of the model; 'ours' without this lists what ships."),
    ] = None,
    speaker_reference: Annotated[
        Path | None,
        typer.Option(help="A recording (sound or video) of the voice to speak with. Default: the voice of the face."),
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="Precomputed face landmarks (.npy, .npz). Default: VIDEO's NAME.landmarks.npy.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model, as steps=10.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also draw frames, crops, spectrogram and F0 of the result (.png, .pdf, .svg).")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Give a video the speech that its face seems to say: find the face, synthesize, and put the sound under it."""
    from f2v_bench.cli.options import resolve_device
    from f2v_bench.face.crops import face_crops
    from f2v_bench.face.sheet import inspect_sheet
    from f2v_bench.media import check_copy_with_sound, copy_with_sound
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    _check_places(video, out, sheet, landmarks)
    check_copy_with_sound(video, out)
    system = _open(model, weights, speaker_reference, resolve_device(device), _parsed(settings or []))
    with _steps() as step:
        step("looking for the face")
        crops = face_crops(video, landmarks=landmarks)
        step(f"speaking for {len(crops.visible) / FPS:.1f} s")
        speech = _spoken(system, video, crops, seed)
        step("writing the video")
        copy_with_sound(video, out, speech)
        if sheet is not None:
            step("drawing the sheet")
            inspect_sheet(Clip(f"{video.stem}, dubbed by {model}", model, video, out, None, _SPEAKER), sheet)
    seen = f"face seen in {crops.visible.mean():.0%} of {len(crops.visible)} frames, by {crops.detector}"
    for line in (seen, system.provenance):
        error_console().print(line, markup=False, highlight=False)
    for path in (out, sheet) if sheet is not None else (out,):
        console().print(str(path), markup=False, highlight=False, soft_wrap=True)
    return 0


def _check_places(video: Path, out: Path, sheet: Path | None, landmarks: Path | None) -> None:
    """Refuse, before the long work, what could not be written after it."""
    if out.exists() and video.exists() and out.samefile(video):
        raise F2VError(f"'{out}' is the video that is to be dubbed", "write to another file with -o")
    if sheet is not None and sheet.suffix.lower() not in _SHEETS:
        raise F2VError(f"--sheet '{sheet}' does not end in one of {', '.join(_SHEETS)}", "give it such a name")
    if sheet is not None and landmarks is not None:
        raise F2VError(
            "--sheet does not know of --landmarks",
            f"put them beside the video as '{video.stem}.landmarks.npy', where both find them",
        )
    for path in (out, sheet) if sheet is not None else (out,):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise F2VError(f"'{path}' cannot be written", "choose another place")


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """A function that begins the next step; each shows how long it takes, or is a line where there is no terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    messages = error_console()
    columns = SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as bars:

        def finish() -> None:
            for task in bars.task_ids:
                bars.update(task, total=1, completed=1)

        def begin(what: str) -> None:
            finish()
            bars.add_task(what, total=None)
            if not messages.is_terminal:
                messages.print(what, markup=False, highlight=False)

        yield begin
        finish()


def _parsed(settings: Sequence[str]) -> dict[str, str]:
    parsed = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise F2VError(f"--set {text!r} is not NAME=VALUE", "for example --set steps=10")
        parsed[name] = value
    return parsed


def _open(model: str, weights: str | None, voice: Path | None, device: str, settings: dict[str, str]) -> FaceSystem:
    """The system, with the voice as another clip of the speaker who will be dubbed.

    Raises:
        F2VError: no such system, it does not speak for faces or with a given voice, or something it lacks.
        ClipFailure: the voice cannot be read.
    """
    from f2v_bench.media import read_audio
    from f2v_bench.systems.base import FaceSystem, SpeakerReference, SystemOptions

    name, colon, argument = model.partition(":")
    kind = SYSTEMS.load(name)
    if not (isinstance(kind, type) and issubclass(kind, FaceSystem)):
        raise F2VError(f"the system '{name}' does not speak for any face, only for the clips of a corpus", "use ours")
    if voice is not None:
        read_audio(voice)
    system = kind(
        SystemOptions(
            clips=() if voice is None else [Clip("voice", _SPEAKER, voice, voice, None, _SPEAKER)],
            argument=argument if colon else None,
            device=device,
            weights=weights,
            speaker_reference=None if voice is None else SpeakerReference.OTHER_CLIP,
            settings=settings,
        )
    )
    if voice is not None and system.speaker_reference is not SpeakerReference.OTHER_CLIP:
        raise F2VError(f"the system '{name}' does not take the voice from a recording", "leave out --speaker-reference")
    return system


def _spoken(system: FaceSystem, video: Path, crops: FaceCrops, seed: int) -> Waveform:
    clip = Clip(f"{_SPEAKER}/{video.stem}", _SPEAKER, video, None, None, _SPEAKER)
    (speech,) = system.synthesize_clips([clip], [crops], seed)
    if isinstance(speech, ClipFailure):
        raise speech
    return speech.validate(f"the speech of '{video}'")
