"""What each part of the reference model is worth: train it whole and without a part, several times, score and test.

    python scripts/ablate.py --work data/shipped/ablation --from data/shipped/demo-tiny --data-root data/shipped/demo

All trainings share lip encoder and vocoder of the folder ``--from``, have the same budget and differ in seed and in
what is left out. They are scored in one run on the test split; what is stopped goes on with the same command. The
report pairs each ablation with the whole model on the same clips and seeds: differences, BCa intervals and permutation
tests over the speakers of the test split, all seeds of a speaker together, Holm over the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

from f2v_bench.folders import write_whole
from f2v_bench.reporting.contenders import Contender, read_contenders
from f2v_bench.reporting.results import Heading
from f2v_bench.runs.folder import RunFolder
from f2v_bench.scoring.comparison import ALPHA, ClipScores, Difference, difference, holm, permutations_for
from f2v_bench.scoring.statistics import unit_sums

WHOLE = "none"
PARTS = (WHOLE, "hierarchy", "timbre", "prosody")
COLUMNS = ("wer", "estoi", "rmse_f0", "vde", "secs", "dnsmos_ovrl")
METRICS = "wer,stoi,rmse_f0,secs,dnsmos"


def label(part: str, seed: int) -> str:
    """What a training is called in folder and run."""
    return f"{'whole' if part == WHOLE else f'no-{part}'}-s{seed}"


def call(*words: str | Path, good: Sequence[int] = (0,)) -> None:
    """Run ``f2v-bench`` with these words; another exit code than the good ones ends everything."""
    done = subprocess.run([sys.executable, "-m", "f2v_bench", *map(str, words)], check=False)
    if done.returncode not in good:
        sys.exit(done.returncode)


def train(asked: argparse.Namespace, part: str, seed: int) -> Path:
    """One training, and its weights."""
    out = asked.work / label(part, seed)
    if not (out / "weights.safetensors").is_file():
        settings = [f"main_stage.steps={asked.steps}", f"main_stage.validate_every={asked.steps}", *asked.set]
        call(
            "train", "-m", "ours", "--preset", asked.preset, "-d", asked.dataset, "--data-root", asked.data_root,
            "--from", asked.base, "--ablate", part, "--seed", str(seed), "-o", out,
            *(word for text in settings for word in ("--set", text)),
        )  # fmt: skip
    return out / "weights.safetensors"


def score(asked: argparse.Namespace, weights: Mapping[str, Path]) -> Path:
    """All of them in one run."""
    folder: Path = asked.work / "run"
    models = ["ground-truth", *(f"{name}=ours:{path}" for name, path in weights.items())]
    named = [word for model in models for word in ("-m", model)]
    call(
        "run", *named, "-d", asked.dataset, "--data-root", asked.data_root, "--metrics", METRICS, "-o", folder,
        "--all-columns", good=(0, 3),
    )  # fmt: skip
    return folder


def pooled(
    contenders: Mapping[str, Contender], part: str, seeds: int, column: str
) -> tuple[ClipScores, dict[str, str]]:
    """All seeds of a variant as one: a clip of a seed is a clip, its speaker stays the same."""
    values, speakers, expected = {}, {}, 0
    for seed in range(seeds):
        one = contenders[label(part, seed)]
        scores = one.scores[column]
        expected += scores.expected
        values |= {f"{seed}/{clip}": pair for clip, pair in scores.values.items()}
        speakers |= {f"{seed}/{clip}": speaker for clip, speaker in one.speakers.items()}
    return ClipScores(values, expected), speakers


def of_seeds(contenders: Mapping[str, Contender], part: str, seeds: int, heading: Heading) -> list[float]:
    """The aggregate of each seed."""
    found = []
    for seed in range(seeds):
        pairs = list(contenders[label(part, seed)].scores[heading.name].values.values())
        sums = unit_sums(*zip(*pairs, strict=True), ["one"] * len(pairs), heading.aggregate)
        if sums.value is not None:
            found.append(sums.value)
    return found


def cell(found: Difference | None, p: float | None, heading: Heading) -> str:
    """A difference as the table says it; bold where the ablation is worse beyond chance."""
    if found is None or p is None:
        return "–"
    low, high = (heading.number(one) if one is not None else "?" for one in (found.low, found.high))
    text = f"{found.value * heading.scale:+.{heading.digits}f} [{low}, {high}], p {p:.3f}"
    worse = heading.higher_is_better is not None and (found.value < 0) == heading.higher_is_better
    return f"**{text}**" if p < ALPHA and worse else text


def report(asked: argparse.Namespace, run: Path) -> str:
    """The ablation table in Markdown."""
    contenders = {one.label: one for one in read_contenders([RunFolder(run)])}
    first = contenders[label(WHOLE, 0)]
    headings = [first.headings[column] for column in COLUMNS if column in first.headings]
    pools = {(part, one): pooled(contenders, part, asked.seeds, one.name) for part in PARTS for one in headings}
    tests = [(part, heading) for part in PARTS[1:] for heading in headings]
    found: list[Difference | None] = []
    for part, heading in tests:
        (ours, speakers), (theirs, _) = pools[part, heading], pools[WHOLE, heading]
        found.append(difference(ours, theirs, speakers, heading.aggregate, permutations_for(len(tests))))
    adjusted = iter(holm([one.p for one in found if one]))
    cells = {test: cell(one, next(adjusted) if one else None, test[1]) for test, one in zip(tests, found, strict=True)}
    head = f"| | {' | '.join(heading.title for heading in headings)} |\n|---|{'---|' * len(headings)}\n"
    values, differences = "", ""
    for part in PARTS:
        name = "whole model" if part == WHOLE else f"without {part}"
        row = []
        for heading in headings:
            seeds = of_seeds(contenders, part, asked.seeds, heading)
            spread = f" ± {stdev(seeds) * heading.scale:.{heading.digits}f}" if len(seeds) > 1 else ""
            scores, _ = pools[part, heading]
            missing = f" ({len(scores.values)}/{scores.expected})" if scores.coverage < 1 else ""
            row.append(f"{heading.number(mean(seeds))}{spread}{missing}")
        values += f"| {name} | {' | '.join(row)} |\n"
        if part != WHOLE:
            differences += f"| {name} | {' | '.join(cells[part, heading] for heading in headings)} |\n"
    data = first.manifest["dataset"]
    units = " or ".join(sorted({one.units for one in found if one}))
    count = sum(one is not None for one in found)
    signatures = "\n".join(f"* {name}: `{text}`" for name, text in {h.metric: h.signature for h in headings}.items())
    return f"""\
# Ablation of the reference model: `{data["list_id"]}`, {data["clips"]} clips

Trained here on a small corpus, {asked.steps:,} steps of the main stage each, {asked.seeds} seeds; lip encoder and
vocoder are shared. None of these numbers is a reproduction of the paper's.

Mean over seeds ± their standard deviation; (n/m): scored of expected clips.

{head}{values}
Ablation minus whole model, on the clips that both have, all seeds together: difference [95 % paired BCa interval over
{units}], p of a paired permutation test, Holm over {count} tests. Bold: worse beyond chance.

{head}{differences}
{signatures}
"""


def main() -> None:
    """Train what is missing, score it and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for trainings and the run")
    parser.add_argument("--from", dest="base", type=Path, required=True, help="training with finished lips and vocoder")
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=500, help="of the main stage, for every training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of every training")
    parser.add_argument("--out", type=Path, help="file of the report, default WORK/ablation.md")
    asked = parser.parse_args()
    wanted = [(part, seed) for seed in range(asked.seeds) for part in PARTS]
    with ThreadPoolExecutor(asked.jobs) as pool:
        files = list(pool.map(lambda one: train(asked, *one), wanted))
    run = score(asked, {label(*one): file for one, file in zip(wanted, files, strict=True)})
    write_whole(asked.out or asked.work / "ablation.md", report(asked, run))


if __name__ == "__main__":
    main()
