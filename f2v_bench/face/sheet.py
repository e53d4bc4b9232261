"""Inspection sheet of one clip: frames, face boxes, crops, spectrogram, F0 and energy in one figure."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Clip
from f2v_bench.errors import ClipFailure
from f2v_bench.face.crops import face_crops
from f2v_bench.face.geometry import LIPS_CENTER, LIPS_SIZE
from f2v_bench.face.records import FaceCrops
from f2v_bench.media import VideoInfo, clip_audio, iter_frames, video_info
from f2v_bench.timing import FPS, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 16.0  # inches
_DPI = 110
_LEFT, _RIGHT = 1.0, 0.95  # inches of margin for labels and color bar
_GAP = 0.08  # inches between panels
_BOX, _POINTS, _PITCH, _ENERGY = "#00d5b0", "#ffb000", "#d1495b", "#8d99ae"
_FAINT = "#5c6470"
_PITCH_RANGE = (60, 520)  # Hz
_PITCH_TICKS = (75, 100, 150, 200, 300, 450)


def inspect_sheet(
    clip: Clip, out: Path, *, columns: int = 8, detector: str = "auto", cache: Path | None = None
) -> None:
    """Draw frames with boxes and points, lip crops, aligned faces, mel spectrogram, F0 and energy over time.

    The sheet of a clip without face or audio has the reason of the failure in place of crops or plots.

    Args:
        clip: clip with a readable video.
        out: output file, ``.png``, ``.pdf`` or ``.svg``.
        columns: number of frames drawn, evenly spaced from the first to the last.
        detector: name of the face detector, as in ``face_crops``.
        cache: cache folder, as in ``face_crops``.

    Raises:
        ClipFailure: ``file_missing``, ``unreadable_video`` or ``no_video``.
        F2VError: as in ``face_crops``.
    """
    from matplotlib.figure import Figure

    info = video_info(clip.video)
    crops: FaceCrops | ClipFailure
    try:
        crops = face_crops(clip.video, detector=detector, cache=cache)
        count = len(crops.lips)
    except ClipFailure as failure:
        crops = failure
        count = sum(1 for _ in iter_frames(clip.video))
    moments = np.unique(np.linspace(0, count - 1, columns).round().astype(int))
    frames = [frame for t, frame in enumerate(islice(iter_frames(clip.video), int(moments[-1]) + 1)) if t in moments]

    cell = (_WIDTH - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns
    aspect = frames[0].shape[0] / frames[0].shape[1]
    rows = [cell * aspect, cell, cell, 2.1, 1.6]
    spaces = [0.12, 0.12, 0.42, 0.2]
    head, foot = 0.95, 0.55
    height = head + sum(rows) + sum(spaces) + foot
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    tops = [head + sum(rows[:k]) + sum(spaces[:k]) for k in range(len(rows))]

    def place(row: int, column: int | None = None) -> Any:
        left = _LEFT + (column or 0) * (cell + _GAP)
        width = cell if column is not None else _WIDTH - _LEFT - _RIGHT
        bottom = height - tops[row] - rows[row]
        return figure.add_axes((left / _WIDTH, bottom / height, width / _WIDTH, rows[row] / height))

    _draw_head(figure, clip, info, crops, count, height)
    for column, (t, frame) in enumerate(zip(moments, frames, strict=True)):
        _draw_frame(place(0, column), frame, crops, int(t))
    if isinstance(crops, FaceCrops):
        for column, t in enumerate(moments):
            _draw_lips(place(1, column), crops.lips[t])
            _draw_image(place(2, column), crops.face[t])
    else:
        for row in (1, 2):
            _draw_note(place(row), "no crops", str(crops.detail))
    for row, label in enumerate(("frame", f"lips\n{LIPS_SIZE}×{LIPS_SIZE}", "face\n112×112")):
        middle = height - tops[row] - rows[row] / 2
        figure.text((_LEFT - 0.12) / _WIDTH, middle / height, label, ha="right", va="center", fontsize=11, color=_FAINT)
    _draw_audio(clip, place(3), place(4), info.duration_s, moments / FPS)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _draw_head(
    figure: Any, clip: Clip, info: VideoInfo, crops: FaceCrops | ClipFailure, count: int, height: float
) -> None:
    facts = [f"{info.width}×{info.height}", f"{count} frames at {FPS} fps, {count / FPS:.2f} s"]
    if abs(info.source_fps - FPS) > 0.01:
        facts[1] += f" (file: {info.source_fps:.2f} fps)"
    if isinstance(crops, FaceCrops):
        facts.append(f"face in {crops.visible.mean():.0%} of frames, by {crops.detector}")
    else:
        facts.append(f"{crops.kind}")
    facts.append(f"speaker {clip.speaker}")
    words = f"“{shorten(clip.text, 110, placeholder=' …')}”" if clip.text else "no transcript"
    left = _LEFT / _WIDTH

    def line(inches: float, text: str, **style: Any) -> None:
        figure.text(left, 1 - inches / height, text, va="center", parse_math=False, **style)

    line(0.25, clip.id, fontsize=16, fontweight="bold")
    line(0.51, " · ".join(facts), fontsize=11, color=_FAINT)
    line(0.77, words, fontsize=12, style="italic")


def _draw_image(axes: Any, image: NDArray[np.uint8]) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="lanczos", aspect="auto")
    axes.set_axis_off()


def _draw_frame(axes: Any, frame: NDArray[np.uint8], crops: FaceCrops | ClipFailure, t: int) -> None:
    _draw_image(axes, frame)
    height, width = frame.shape[:2]
    if isinstance(crops, FaceCrops):
        x0, y0, x1, y1 = crops.boxes[t]
        style = "-" if crops.visible[t] else ":"
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], style, color=_BOX, linewidth=1.6)
        axes.plot(*crops.points[t].T, "o", color=_POINTS, markersize=3.4, markeredgecolor="black", markeredgewidth=0.4)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.text(
        0.03,
        0.04,
        f"{t / FPS:.2f} s",
        transform=axes.transAxes,
        color="white",
        fontsize=9.5,
        bbox={"facecolor": "black", "alpha": 0.55, "pad": 2, "edgecolor": "none"},
    )


def _draw_lips(axes: Any, lips: NDArray[np.uint8]) -> None:
    _draw_image(axes, lips)
    low = (LIPS_SIZE - LIPS_CENTER) / 2 - 0.5
    high = low + LIPS_CENTER
    axes.plot([low, high, high, low, low], [low, low, high, high, low], color=_BOX, linewidth=0.9, alpha=0.8)
    axes.set_xlim(-0.5, LIPS_SIZE - 0.5)
    axes.set_ylim(LIPS_SIZE - 0.5, -0.5)


def _draw_note(axes: Any, title: str, detail: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c9ced6")
    text = f"{title}: {shorten(detail, 150, placeholder=' …')}"
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_FAINT, fontsize=12, parse_math=False
    )


def _draw_audio(clip: Clip, above: Any, below: Any, duration_s: float, moments: NDArray[np.floating]) -> None:
    from f2v_bench.signal.energy import energy_contour
    from f2v_bench.signal.f0 import f0_contour
    from f2v_bench.signal.mel import log_mel

    try:
        samples = clip_audio(clip, SAMPLE_RATE).samples
    except ClipFailure as failure:
        _draw_note(above, "no spectrogram", failure.detail)
        _draw_note(below, "no F0 and energy", failure.detail)
        return
    _draw_mel(above, log_mel(samples, SAMPLE_RATE))
    f0, times = f0_contour(samples, SAMPLE_RATE)
    _draw_prosody(below, f0, times, energy_contour(samples, SAMPLE_RATE))
    for axes in (above, below):
        axes.set_xlim(0, duration_s)
        for moment in moments:
            axes.axvline(moment, color="white" if axes is above else "#c9ced6", linewidth=0.7, linestyle=":", zorder=1)
    above.set_xticklabels([])
    below.set_xlabel("time (s), frame 0 of the video at 0", fontsize=11)


def _draw_mel(axes: Any, mel: NDArray[np.float32]) -> None:
    top = float(mel.max())
    image = axes.imshow(
        mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, len(mel) / 100, 0, mel.shape[1]),
        cmap="magma",
        vmin=max(float(mel.min()), top - 9),
        vmax=top,
        interpolation="nearest",
    )
    axes.set_ylabel("mel bin", fontsize=11)
    axes.set_yticks([0, 20, 40, 60, 80])
    bar = axes.inset_axes((1.008, 0.0, 0.009, 1.0))
    axes.figure.colorbar(image, cax=bar)
    bar.set_ylabel("ln magnitude", fontsize=10)
    bar.tick_params(labelsize=9)


def _draw_prosody(axes: Any, f0: NDArray[np.float32], times: NDArray[np.float32], energy: NDArray[np.float32]) -> None:
    loudness = axes.twinx()
    at = (np.arange(len(energy)) + 0.5) / 100
    loudness.fill_between(at, energy.min(), energy, color=_ENERGY, alpha=0.35, linewidth=0)
    loudness.set_ylabel("ln energy", color="#5f6b80", fontsize=11)
    loudness.tick_params(colors="#5f6b80", labelsize=9)
    loudness.margins(y=0)
    axes.set_zorder(loudness.get_zorder() + 1)
    axes.patch.set_visible(False)
    voiced = np.where(f0 > 0, f0, np.nan)
    axes.plot(times, voiced, color=_PITCH, linewidth=2.2, solid_capstyle="round")
    axes.set_yscale("log")
    axes.set_ylim(*_PITCH_RANGE)
    axes.set_yticks(_PITCH_TICKS, [str(tick) for tick in _PITCH_TICKS])
    axes.minorticks_off()
    axes.set_ylabel("F0 (Hz)", color=_PITCH, fontsize=11)
    axes.tick_params(axis="y", colors=_PITCH)
    if not (f0 > 0).any():
        axes.text(0.01, 0.9, "no voiced frame", transform=axes.transAxes, color=_PITCH, va="top", fontsize=10)
