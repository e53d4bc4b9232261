"""Synthesis of speech for any video of a talking face, written as a copy of the video with the new sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.registry import SYSTEMS
from f2v_bench.runs.build import resolve_device
from f2v_bench.timing import FPS

if TYPE_CHECKING:
    from f2v_bench.face.records import FaceCrops
    from f2v_bench.systems.base import FaceSystem

_SHEET_SUFFIXES = (".png", ".pdf", ".svg")
_SPEAKER = "dub"
_NO_SETTINGS: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class DubResult:
    """Result of dubbing.

    Attributes:
        path: video that was written.
        sheet: inspection sheet, or None.
        waveform: synthesized speech.
        frames: number of frames at 25 fps.
        visible: share of frames with a detected face, 0 to 1.
        detector: face detector.
        provenance: weights and training data of the system.
    """

    path: Path
    sheet: Path | None
    waveform: Waveform
    frames: int
    visible: float
    detector: str
    provenance: str


def dub(
    video: Path,
    out: Path,
    *,
    system: str = "ours",
    weights: str | None = None,
    speaker_reference: Path | None = None,
    landmarks: Path | None = None,
    settings: Mapping[str, object] = _NO_SETTINGS,
    sheet: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    on_step: Callable[[str], None] | None = None,
) -> DubResult:
    """Write a copy of a video with speech synthesized from its talking face; the picture is copied unchanged.

    Args:
        video: video of one talking face; its audio track is not used.
        out: video to write (``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``).
        system: ``NAME[:ARGUMENT]`` of a system that takes face crops as input.
        weights: name or file of the weights.
        speaker_reference: audio or video file for the speaker embedding; None computes it from the face.
        landmarks: precomputed face landmarks; None uses ``NAME.landmarks.npy`` beside the video, where it exists.
        settings: settings of the system.
        sheet: inspection sheet of the result to draw (``.png``, ``.pdf`` or ``.svg``), or None.
        seed: random seed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        on_step: function called with a description at the start of each step.

    Raises:
        F2VError: unsuitable paths, an unknown system or setting, or a missing requirement.
        ClipFailure: the video cannot be read, has no usable face, or the synthesis fails.
    """
    from f2v_bench.face.crops import face_crops
    from f2v_bench.face.sheet import inspect_sheet
    from f2v_bench.media import check_copy_with_audio, copy_with_audio
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    setup_numba_cache()
    start_step = on_step or _ignore
    _check_paths(video, out, sheet, landmarks)
    check_copy_with_audio(video, out)
    synthesizer = _load_system(system, weights, speaker_reference, resolve_device(device), settings)
    start_step("detecting the face")
    crops = face_crops(video, landmarks=landmarks)
    start_step(f"synthesizing {len(crops.visible) / FPS:.1f} s of speech")
    waveform = _synthesize(synthesizer, video, crops, seed)
    start_step("writing the video")
    copy_with_audio(video, out, waveform)
    if sheet is not None:
        start_step("drawing the sheet")
        inspect_sheet(Clip(f"{video.stem}, dubbed by {system}", system, video, out, None, _SPEAKER), sheet)
    return DubResult(
        path=out,
        sheet=sheet,
        waveform=waveform,
        frames=len(crops.visible),
        visible=float(crops.visible.mean()),
        detector=crops.detector,
        provenance=synthesizer.provenance,
    )


def _ignore(_step: str) -> None:
    """Ignore a step."""


def _check_paths(video: Path, out: Path, sheet: Path | None, landmarks: Path | None) -> None:
    """Refuse unsuitable paths before the long work starts."""
    if out.exists() and video.exists() and out.samefile(video):
        raise F2VError(f"'{out}' is the input video", "write to another file with -o")
    if sheet is not None and sheet.suffix.lower() not in _SHEET_SUFFIXES:
        raise F2VError(
            f"--sheet '{sheet}' does not end in one of {', '.join(_SHEET_SUFFIXES)}", "use one of these suffixes"
        )
    if sheet is not None and landmarks is not None:
        raise F2VError(
            "--sheet cannot be combined with --landmarks",
            f"put the landmarks beside the video as '{video.stem}.landmarks.npy'; both find them there",
        )
    for path in (out, sheet) if sheet is not None else (out,):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise F2VError(f"'{path}' cannot be written", "choose another place")


def _load_system(
    text: str, weights: str | None, reference: Path | None, device: str, settings: Mapping[str, object]
) -> FaceSystem:
    """Construct the system; the reference recording becomes another clip of the dubbed speaker.

    Raises:
        F2VError: an unknown system, one that takes no face crops or no reference recording, or a missing requirement.
        ClipFailure: the reference recording cannot be read.
    """
    from f2v_bench.media import read_audio
    from f2v_bench.systems.base import FaceSystem, SpeakerReference, SystemOptions

    name, colon, argument = text.partition(":")
    system_class = SYSTEMS.load(name)
    if not (isinstance(system_class, type) and issubclass(system_class, FaceSystem)):
        raise F2VError(
            f"the system '{name}' does not synthesize from face crops, only for the clips of a corpus", "use ours"
        )
    if reference is not None:
        read_audio(reference)
    system = system_class(
        SystemOptions(
            clips=() if reference is None else [Clip("voice", _SPEAKER, reference, reference, None, _SPEAKER)],
            argument=argument if colon else None,
            device=device,
            weights=weights,
            speaker_reference=None if reference is None else SpeakerReference.OTHER_CLIP,
            settings={option: str(value) for option, value in settings.items()},
        )
    )
    if reference is not None and system.speaker_reference is not SpeakerReference.OTHER_CLIP:
        raise F2VError(
            f"the system '{name}' does not compute the speaker embedding from a recording",
            "omit --speaker-reference",
        )
    return system


def _synthesize(system: FaceSystem, video: Path, crops: FaceCrops, seed: int) -> Waveform:
    clip = Clip(f"{_SPEAKER}/{video.stem}", _SPEAKER, video, None, None, _SPEAKER)
    (outcome,) = system.synthesize_clips([clip], [crops], seed)
    if isinstance(outcome, ClipFailure):
        raise outcome
    return outcome.validate(f"the speech of '{video}'")
