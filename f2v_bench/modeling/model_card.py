"""The model card of a weight file: what it was trained on, how long, and every number it reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from f2v_bench.modeling.checkpoint import VOCODER, ModelCheckpoint
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.utils.paths import atomic_write

_INTENT = """\
Research on video-to-speech synthesis, and checks that an installation works. The model is small and was trained on
little data by this project. It is no reproduction of the paper's results: data, lip encoder and sizes are others.
Not for putting words into anybody's mouth.
"""


def write_card(path: Path, file: ModelCheckpoint[Any], scores: Mapping[str, str]) -> None:
    """Write a card in Markdown.

    Args:
        path: of the card.
        file: the weights that it describes.
        scores: tables in Markdown by the name of the run.
    """
    facts, config = file.facts, file.config
    stages = "\n".join(
        f"| {name} | {int(stage['steps']):,} | {getattr(config, f'{name}_stage').batch} | {stage['seconds'] / 60:.0f} |"
        for name, stage in facts.stages.items()
    )
    scored = "\n".join(f"## Scores: {run}\n\n{table}" for run, table in scores.items())
    size = file.path.stat().st_size / 1e6
    left = "lip encoder and vocoder" if file.vocoder_key == VOCODER else "lip encoder"
    shared = f"; {left}: `{file.base.name}`" if file.base else ""
    own = "".join(f"| {name} | {text} |\n" for name, text in file.describe().items())
    text = f"""\
# {path.stem}

{facts}.

| | |
|---|---|
| model | {file.title} |
| preset | {config.preset}{"" if file.ablation == "none" else f", without {file.ablation}"} |
| training clips | {facts.clips:,} ({facts.hours:.2f} h) of `{facts.list_id}` |
| lip encoder | {config.lips.encoder}{_supervision(config)} |
| vocoder | {file.vocoder_name} |
{own}| hardware | {facts.hardware} |
| seed | {facts.seed} |
| file | {size:.1f} MB, half precision, SHA-256 `{file.sha256}`{shared} |
| licence | {facts.license} |

| stage | steps | clips a step | minutes |
|---|---|---|---|
{stages}

## Use

{_INTENT}
{scored}"""
    atomic_write(path, text)


def _supervision(config: SharedConfig) -> str:
    """Whether the stand-in was told what was said: a model without transcripts must not be compared unawares."""
    if config.lips.encoder != "stand-in":
        return ""
    text = ", phonemes of the transcripts (text supervision)" if config.teaching.phones else ""
    return f": taught with clusters of sound{text}"
