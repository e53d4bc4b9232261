"""Draw docs/house.svg: the flow of data and the rooms of the code.

python docs/draw_house.py [OUT]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

FLOW = (
    ("dataset", "datasets/"),
    ("clip", "clip.py, media/"),
    ("face crops", "face/"),
    ("system", "systems/, modeling/"),
    ("waveform", "clip.py"),
    ("metrics", "metrics/, scoring/"),
    ("run folder", "runs/"),
    ("tables, tests,\nfigures", "reporting/"),
)
#: rooms from the top: a room imports only from rooms below it
LAYERS = (
    ("cli", "parses, calls the API, prints"),
    ("api · dubbing", "evaluate, score, compare, load_*, train; dub"),
    ("reporting", "tables, tests, figures; reads only the run folder"),
    ("runs", "run folder, resume, execution"),
    ("training", "Lightning: stages, modules, callbacks, data"),
    ("modeling", "trained models at work: spec, checkpoint, synthesis"),
    ("scoring", "scorer, worker processes, cache, statistics"),
    ("metrics", "one file a metric; recognizers"),
    ("systems", "ground truth, resynthesis, WAV folders, external code"),
    ("datasets", "one file a corpus; the demo corpus"),
    ("nn", "layers, encoders, vocoders, losses, checkpoints"),
    ("face · signal · media", "crops; mel, F0, energy; decoding"),
    ("assets · utils · registry · config · clip · errors · timing", ""),
)
INK, BLUE, GREEN, SAND, GRAY = "#1f2933", "#dbe8f6", "#dff0e3", "#f7ecd5", "#6b7682"


def box(axes: Any, x: float, y: float, width: float, height: float, color: str) -> None:
    """Draw a rounded box with its lower left corner at ``(x, y)``."""
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=color, edgecolor=INK, linewidth=0.9))


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], style: str = "-") -> None:
    """Draw an arrow between two points."""
    arrow_style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "linestyle": style, "mutation_scale": 12}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow_style)


def draw(out: Path) -> None:
    """Draw the picture.

    Args:
        out: output file, ``.svg`` or ``.png``.
    """
    figure = Figure(figsize=(12, 9.2), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 12), ylim=(0, 9.2))
    axes.set_axis_off()
    axes.text(0.4, 8.85, "Data flows one way", fontsize=13, fontweight="bold", color=INK, va="center")
    width, gap = 1.19, 0.24
    for index, (name, room) in enumerate(FLOW):
        x = 0.4 + index * (width + gap)
        box(axes, x, 7.85, width, 0.7, GREEN)
        axes.text(x + width / 2, 8.2, name, ha="center", va="center", fontsize=10, color=INK)
        axes.text(x + width / 2, 7.65, room, ha="center", va="center", fontsize=7.6, color=GRAY)
        if index:
            arrow(axes, (x - gap, 8.2), (x, 8.2))
    axes.text(0.4, 7.12, "Imports point down", fontsize=13, fontweight="bold", color=INK, va="center")
    height, step = 0.4, 0.5
    for index, (name, text) in enumerate(LAYERS):
        y = 6.4 - index * step
        box(axes, 0.4, y, 7.3, height, BLUE)
        axes.text(0.58, y + height / 2, name, va="center", fontsize=10.5, fontweight="bold", color=INK)
        axes.text(7.52, y + height / 2, text, va="center", ha="right", fontsize=9, color=INK)
    bottom = 6.4 - (len(LAYERS) - 1) * step
    axes.text(4.05, bottom - 0.17, "f2v_bench", ha="center", va="center", fontsize=9, color=GRAY, family="monospace")
    outside = (
        ("reference_model", "From Faces to Voices"),
        ("baselines", "svts, intelligible, diffv2s, v2a, official code"),
        ("a package of yours", "metric, dataset, system or model"),
    )
    for index, (name, text) in enumerate(outside):
        y = 5.55 - index * 1.25
        box(axes, 8.85, y, 2.75, 0.85, SAND)
        axes.text(10.22, y + 0.54, name, ha="center", va="center", fontsize=10.5, fontweight="bold", color=INK)
        axes.text(10.22, y + 0.25, text, ha="center", va="center", fontsize=7.4, color=INK)
        arrow(axes, (8.85, y + 0.55), (7.7, y + 0.55))
        arrow(axes, (7.7, y + 0.28), (8.85, y + 0.28), style="--")
    axes.text(8.85, 2.55, "solid: imports", fontsize=9, color=INK, va="center")
    axes.text(8.85, 2.28, "dashed: entry points, found at run time;", fontsize=9, color=INK, va="center")
    axes.text(8.85, 2.01, "f2v_bench imports none of these packages", fontsize=9, color=INK, va="center")
    box(axes, 8.85, 0.75, 2.75, 0.85, SAND)
    axes.text(10.22, 1.29, "weights/", ha="center", va="center", fontsize=10.5, fontweight="bold", color=INK)
    axes.text(10.22, 1.0, "data packages, read through assets", ha="center", va="center", fontsize=7.4, color=INK)
    arrow(axes, (8.85, 1.17), (7.7, 0.6), style="--")
    # glyphs as paths: the same in every viewer; no date, so that the file changes only with the picture
    matplotlib.rcParams["svg.hashsalt"] = "house"
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("house.svg"))
