"""Model card of a weight file: training data and time, and every score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from f2v_bench.modeling.checkpoint import ModelCheckpoint
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.modeling.spec import VOCODER
from f2v_bench.utils.paths import atomic_write

_INTENT = """\
Research on video-to-speech synthesis, and checks that an installation works. The model is small and was trained on
little data by this project. It does not reproduce the paper's results: data, lip encoder and sizes differ.
Not for putting words into anybody's mouth.
"""


def write_card(path: Path, checkpoint: ModelCheckpoint, scores: Mapping[str, str]) -> None:
    """Write a model card in Markdown.

    Args:
        path: file to write.
        checkpoint: weights that the card describes.
        scores: tables in Markdown by the name of the run.
    """
    facts, config = checkpoint.facts, checkpoint.config
    stages = "\n".join(
        f"| {name} | {int(stage['steps']):,} | {getattr(config, f'{name}_stage').batch} | {stage['seconds'] / 60:.0f} |"
        for name, stage in facts.stages.items()
    )
    scored = "\n".join(f"## Scores: {run}\n\n{table}" for run, table in scores.items())
    size = checkpoint.path.stat().st_size / 1e6
    parts = "lip encoder and vocoder" if checkpoint.spec.vocoder_part == VOCODER else "lip encoder"
    shared = f"; {parts}: `{checkpoint.base.stem}`" if checkpoint.base else ""
    rows = "".join(f"| {name} | {text} |\n" for name, text in checkpoint.describe().items())
    text = f"""\
# {path.stem}

{facts}.

| | |
|---|---|
| model | {checkpoint.spec.title} |
| preset | {config.preset}{"" if checkpoint.ablation == "none" else f", without {checkpoint.ablation}"} |
| training clips | {facts.clips:,} ({facts.hours:.2f} h) of `{facts.list_id}` |
| lip encoder | {config.lips.encoder}{_supervision(config)} |
| vocoder | {checkpoint.vocoder_name} |
{rows}| hardware | {facts.hardware} |
| seed | {facts.seed} |
| file | {size:.1f} MB, half precision, SHA-256 `{checkpoint.sha256}`{shared} |
| license | {facts.license} |

| stage | steps | clips a step | minutes |
|---|---|---|---|
{stages}

## Use

{_INTENT}
{scored}"""
    atomic_write(path, text)


def _supervision(config: SharedConfig) -> str:
    """Return the supervision of the small lip encoder: text must be declared where models are compared."""
    if config.lips.encoder != "small":
        return ""
    text = ", phonemes of the transcripts (text supervision)" if config.lip_encoder_training.phoneme_weight else ""
    return f": supervised by clusters of audio features{text}"
