"""The model card of a weight file: what it was trained on, how long, and every number it reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from f2v_bench.folders import write_whole
from reference_model.config import ReferenceConfig
from reference_model.weights import Weights

_INTENT = """\
Research on video-to-speech synthesis, and checks that an installation works. The model is small and was trained on
little data by this project. It is no reproduction of the paper's results: data, lip encoder and sizes are others.
Not for putting words into anybody's mouth.
"""


def write_card(path: Path, weights: Path, runs: Sequence[Path]) -> None:
    """Write a card in Markdown.

    Args:
        path: of the card.
        weights: the file that it describes.
        runs: folders in which the weights were scored, each with its ``table.md``.
    """
    file = Weights(weights)
    facts, config, flow = file.facts, file.config, file.config.flow
    stages = "\n".join(
        f"| {name} | {int(stage['steps']):,} | {getattr(config, f'{name}_stage').batch} | {stage['seconds'] / 60:.0f} |"
        for name, stage in facts.stages.items()
    )
    scored = "\n".join(f"## Scores: {run.name}\n\n{_table(run)}" for run in runs)
    size = weights.stat().st_size / 1e6
    text = f"""\
# {path.stem}

{facts}.

| | |
|---|---|
| preset | {config.preset}{"" if config.ablate == "none" else f", without {config.ablate}"} |
| training clips | {facts.clips:,} ({facts.hours:.2f} h) of `{facts.list_id}` |
| lip encoder | {config.lips.encoder}{_taught(config)} |
| vocoder | {config.vocoder.generator} |
| decoder | {flow.decoder} |
| sampling | {flow.solver}, {flow.steps} steps, guidance {flow.guidance:g}, temperature {flow.temperature:g} |
| hardware | {facts.hardware} |
| seed | {facts.seed} |
| file | {size:.1f} MB, half precision, SHA-256 `{file.sha256}` |
| licence | {facts.licence} |

| stage | steps | clips a step | minutes |
|---|---|---|---|
{stages}

## Use

{_INTENT}
{scored}"""
    write_whole(path, text)


def _taught(config: ReferenceConfig) -> str:
    """Whether the stand-in was told what was said: a model without transcripts must not be compared unawares."""
    if config.lips.encoder != "stand-in":
        return ""
    text = ", phonemes of the transcripts (text supervision)" if config.teaching.phones else ""
    return f": taught with clusters of sound{text}"


def _table(run: Path) -> str:
    """The run's table without what could not be computed: where weights were looked for is no fact of the model."""
    lines = (run / "table.md").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if ": unavailable (" not in line)
