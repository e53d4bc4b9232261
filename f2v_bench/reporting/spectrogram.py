"""Spectrogram grid of one clip: systems as rows, one time axis, one dB range, F0 contour and transcript."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from f2v_bench.errors import F2VError, suggest
from f2v_bench.media import resample
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.records import OK
from f2v_bench.signal.f0 import f0_contour
from f2v_bench.signal.mel import FRAME_RATE, log_mel
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGE_DB = 80.0  # dynamic range below the maximum of all rows
NEPER_TO_DB = 20 / np.log(10)
F0_MAX = 500.0  # Hz, upper end of the F0 axis


def pick_clip(folder: RunFolder, clip: str | None) -> str:
    """Return the requested clip, or the first one for which most systems have audio.

    Args:
        folder: run folder.
        clip: clip id, or None.

    Raises:
        F2VError: the run has no such clip, or no clip has any audio.
    """
    ids = folder.table("clips")["id"].tolist()
    if clip is not None:
        if clip not in ids:
            raise F2VError(f"the run has no clip '{clip}'", suggest(clip, ids[:20]))
        return clip
    audio = folder.table("audio")
    counts = audio[audio["status"] == OK].groupby("clip").size()
    if counts.empty:
        raise F2VError("no system has audio for any clip of this run", "fix the failures that the run printed")
    return str(counts[counts == counts.max()].index.min())


def spectrogram_grid(folder: RunFolder, clip: str) -> Figure:
    """Draw the grid of one clip.

    Raises:
        F2VError: no system has audio for the clip.
    """
    from matplotlib.figure import Figure

    labels = [system["label"] for system in folder.manifest()["systems"]]
    samples = {label: _samples(folder, label, clip) for label in labels if folder.audio_path(label, clip).is_file()}
    if not samples:
        raise F2VError(f"no system has audio for clip '{clip}'", "choose another with --clip")
    mels = {label: log_mel(wave, SAMPLE_RATE) * NEPER_TO_DB for label, wave in samples.items()}
    peak = max(float(mel.max()) for mel in mels.values())
    seconds = max(len(wave) for wave in samples.values()) / SAMPLE_RATE
    text = folder.table("clips").set_index("id").loc[clip, "text"]

    figure = Figure(figsize=(7.2, 0.9 + 1.55 * len(labels)), layout="constrained")
    axes: Sequence[Axes] = list(figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0])
    image = None
    for axis, label in zip(axes, labels, strict=True):
        axis.set_title(f"{label}{_transcription(folder, label, clip)}", loc="left", fontsize=8, pad=3)
        axis.set_xlim(0, seconds)
        if label in mels:
            image = _draw(axis, mels[label], samples[label], peak)
        else:
            axis.text(0.5, 0.5, _status(folder, label, clip), transform=axis.transAxes, ha="center", va="center")
            axis.set_yticks([])
    axes[-1].set_xlabel("time (s)", fontsize=8)
    figure.suptitle(f"{clip}: “{text}”" if isinstance(text, str) else clip, fontsize=9)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), pad=0.02, fraction=0.03)
        bar.set_label("mel magnitude (dB)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _samples(folder: RunFolder, label: str, clip: str) -> NDArray[np.float32]:
    wave = folder.waveform(label, clip)
    return resample(wave.samples, wave.sample_rate, SAMPLE_RATE)


def _draw(axis: Axes, mel: NDArray[np.float32], samples: NDArray[np.float32], peak: float) -> Any:
    image = axis.imshow(
        mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, len(mel) / FRAME_RATE, 0, mel.shape[1]),
        vmin=peak - RANGE_DB,
        vmax=peak,
        cmap="magma",
        interpolation="nearest",
    )
    axis.set_ylabel("mel bin", fontsize=8)
    axis.tick_params(labelsize=7)
    f0, times = f0_contour(samples, SAMPLE_RATE)
    pitch = axis.twinx()
    pitch.plot(times, np.where(f0 > 0, f0, np.nan), color="#39ff88", linewidth=1.4)
    pitch.set_ylim(0, F0_MAX)
    pitch.set_ylabel("F0 (Hz)", fontsize=8)
    pitch.tick_params(labelsize=7)
    return image


def _transcription(folder: RunFolder, label: str, clip: str) -> str:
    """Return the recognizer's transcription as a caption, or an empty text."""
    scores = folder.table("scores")
    rows = scores[(scores["system"] == label) & (scores["clip"] == clip) & (scores["column"] == "wer")]
    for detail in rows["detail"]:
        hypothesis = json.loads(detail).get("hypothesis") if detail else None
        if hypothesis is not None:
            return f": recognized “{hypothesis}”"
    return ""


def _status(folder: RunFolder, label: str, clip: str) -> str:
    audio = folder.table("audio")
    rows = audio[(audio["system"] == label) & (audio["clip"] == clip)]
    return f"no audio: {rows['status'].iloc[0]}" if len(rows) else "no audio"


def write_spectrograms(folder: RunFolder, clip: str) -> list[Path]:
    """Write ``spectrograms.png`` (200 dpi) and ``spectrograms.pdf`` to the run folder, and return their paths."""
    figure = spectrogram_grid(folder, clip)
    paths = [folder.path / f"spectrograms.{suffix}" for suffix in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=200)
    return paths
