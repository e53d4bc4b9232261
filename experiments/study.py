"""Shared parts of studies: trainings of one corpus and budget with one difference, scored in one run, tested in pairs.

A variant is trained with several seeds, ``LABEL-s0``, ``LABEL-s1``, ...; all seeds together are compared with those of
another variant on the same clips: differences, BCa intervals and permutation tests over the speakers of the test split,
Holm over the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

from f2v_bench.metrics.aggregation import sum_units
from f2v_bench.reporting.entries import Entry, read_entries
from f2v_bench.reporting.results import ColumnInfo
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ALPHA, ClipScores, Difference, difference, holm, permutations_for

COLUMNS = ("wer", "estoi", "rmse_f0", "vde", "secs", "dnsmos_ovrl")
METRICS = "wer,stoi,rmse_f0,secs,dnsmos"
Bold = Literal["worse", "better"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Comparison of one variant with another.

    Attributes:
        title: title of the row.
        ours: label of the variant.
        theirs: label of the variant that it is compared with.
    """

    title: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Study:
    """Variants and comparisons of a study.

    Attributes:
        variants: titles by label.
        pairs: comparisons in the order of the table.
        seeds: number of seeds of each variant.
        bold: direction of the significant differences in bold.
        columns: columns of the tables, if the run has them.
    """

    variants: Mapping[str, str]
    pairs: Sequence[Pair]
    seeds: int
    bold: Bold
    columns: Sequence[str] = COLUMNS

    def labels(self, variant: str) -> list[str]:
        """Return the names of the trainings of a variant in folders and runs."""
        return [label(variant, seed) for seed in range(self.seeds)]


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables of a study in Markdown.

    Attributes:
        data: id of the list and number of clips.
        values: mean over seeds and standard deviation, one row a variant.
        differences: differences, one row a pair.
        units: units of intervals and tests: clips or speakers.
        count: number of tests.
        signatures: signatures of the metrics.
    """

    data: str
    values: str
    differences: str
    units: str
    count: int
    signatures: str


def label(variant: str, seed: int) -> str:
    """Return the name of a training."""
    return f"{variant}-s{seed}"


def call(*words: str | Path, good: Sequence[int] = (0,)) -> None:
    """Run ``f2v-bench`` with arguments; exit on any exit code that is not in ``good``."""
    done = subprocess.run([sys.executable, "-m", "f2v_bench", *map(str, words)], check=False)
    if done.returncode not in good:
        sys.exit(done.returncode)


def settings(texts: Sequence[str]) -> list[str]:
    """Return the command-line arguments of settings."""
    return [word for text in texts for word in ("--set", text)]


def score(args: argparse.Namespace, model: str, weights: Mapping[str, Path]) -> Path:
    """Score all trainings in one run and return its folder."""
    folder: Path = args.work / "run"
    models = ["ground-truth", *(f"{name}={model}:{path}" for name, path in weights.items())]
    named = [word for one in models for word in ("-m", one)]
    call(
        "run", *named, "-d", args.dataset, "--data-root", args.data_root, "--metrics", METRICS, "-o", folder,
        "--all-columns", good=(0, 3),
    )  # fmt: skip
    return folder


def pool_seeds(entries: Mapping[str, Entry], labels: Sequence[str], column: str) -> tuple[ClipScores, dict[str, str]]:
    """Pool the seeds of a variant: every clip of a seed counts as a clip, and keeps its speaker."""
    values: dict[str, tuple[float, float]] = {}
    speakers: dict[str, str] = {}
    expected = 0
    for seed, name in enumerate(labels):
        one = entries[name]
        scores = one.scores[column]
        expected += scores.expected
        values |= {f"{seed}/{clip}": pair for clip, pair in scores.values.items()}
        speakers |= {f"{seed}/{clip}": speaker for clip, speaker in one.speakers.items()}
    return ClipScores(values, expected), speakers


def aggregate_seeds(entries: Mapping[str, Entry], labels: Sequence[str], column: ColumnInfo) -> list[float]:
    """Return the aggregate of each seed."""
    found = []
    for name in labels:
        pairs = list(entries[name].scores[column.name].values.values())
        values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
        sums = sum_units(values, weights, ["one"] * len(pairs), column.aggregate)
        if sums.value is not None:
            found.append(sums.value)
    return found


def format_difference(found: Difference | None, p: float | None, column: ColumnInfo, bold: Bold) -> str:
    """Format a difference; bold if it is significantly worse, or better."""
    if found is None or p is None:
        return "–"
    low, high = (column.format(one) if one is not None else "?" for one in (found.low, found.high))
    text = f"{found.value * column.scale:+.{column.digits}f} [{low}, {high}], p {p:.3f}"
    up = column.higher_is_better
    marked = up is not None and found.value != 0 and ((found.value > 0) == up) == (bold == "better")
    return f"**{text}**" if p < ALPHA and marked else text


def tables(study: Study, run: Path) -> Tables:
    """Compute the tables of a run that has every training of a study."""
    entries = {one.label: one for one in read_entries([RunFolder(run)])}
    first = entries[study.labels(next(iter(study.variants)))[0]]
    columns = [first.columns[column] for column in study.columns if column in first.columns]
    pools = {
        (variant, one): pool_seeds(entries, study.labels(variant), one.name)
        for variant in study.variants
        for one in columns
    }
    tests = [(pair, column) for pair in study.pairs for column in columns]
    found: list[Difference | None] = []
    for pair, column in tests:
        (ours, speakers), (theirs, _) = pools[pair.ours, column], pools[pair.theirs, column]
        found.append(difference(ours, theirs, speakers, column.aggregate, permutations_for(len(tests))))
    adjusted = iter(holm([one.p for one in found if one]))
    cells = {
        test: format_difference(one, next(adjusted) if one else None, test[1], study.bold)
        for test, one in zip(tests, found, strict=True)
    }
    head = f"| | {' | '.join(column.title for column in columns)} |\n|---|{'---|' * len(columns)}\n"
    values = differences = head
    for variant, title in study.variants.items():
        row = []
        for column in columns:
            seeds = aggregate_seeds(entries, study.labels(variant), column)
            spread = f" ± {stdev(seeds) * column.scale:.{column.digits}f}" if len(seeds) > 1 else ""
            scores, _ = pools[variant, column]
            missing = f" ({len(scores.values)}/{scores.expected})" if scores.coverage < 1 else ""
            row.append(f"{column.format(mean(seeds)) if seeds else '–'}{spread}{missing}")
        values += f"| {title} | {' | '.join(row)} |\n"
    for pair in study.pairs:
        differences += f"| {pair.title} | {' | '.join(cells[pair, column] for column in columns)} |\n"
    data = first.manifest["dataset"]
    signatures = {column.metric: column.signature for column in columns}
    return Tables(
        data=f"`{data['list_id']}`, {data['clips']} clips",
        values=values,
        differences=differences,
        units=" or ".join(sorted({one.units for one in found if one})),
        count=sum(one is not None for one in found),
        signatures="\n".join(f"* {name}: `{text}`" for name, text in signatures.items()),
    )


def read_curve(training: Path, tag: str) -> dict[int, float]:
    """Read the values of a tag that the main stage logged, by completed steps; the last value of a step counts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(training / "main" / "tensorboard"))
    log.Reload()
    return {one.step + 1: one.value for one in log.Scalars(tag)} if tag in log.Tags()["scalars"] else {}


def curves(study: Study, work: Path, tag: str) -> str:
    """Return learning curves in Markdown: one row a variant, mean over seeds ± standard deviation by steps."""
    found = {
        title: [read_curve(work / one, tag) for one in study.labels(variant)]
        for variant, title in study.variants.items()
    }
    steps = sorted(set.intersection(*(set(one) for seeds in found.values() for one in seeds)))
    text = f"| steps | {' | '.join(f'{step:,}' for step in steps)} |\n|---|{'---|' * len(steps)}\n"
    for title, seeds in found.items():
        at = [[one[step] for one in seeds] for step in steps]
        cells = (f"{mean(one):.3f}" + (f" ± {stdev(one):.3f}" if len(one) > 1 else "") for one in at)
        text += f"| {title} | {' | '.join(cells)} |\n"
    return text


def study_parser(description: str, steps: int, out: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments of all studies.

    Args:
        description: description of the script.
        steps: default steps of the main stage.
        out: file name of the report in the work folder.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for trainings and the run")
    parser.add_argument(
        "--from", dest="base", type=Path, required=True, help="training with finished lips and vocoder stages"
    )
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=steps, help="steps of the main stage of every training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel trainings")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="setting of every training")
    parser.add_argument("--out", type=Path, help=f"file of the report, default WORK/{out}")
    return parser
