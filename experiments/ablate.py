"""Ablation study of the reference model: train it whole and without each part, with several seeds, score and test.

    python -m experiments.ablate --work data/ablation --from data/shipped/demo-tiny --data-root data/shipped/demo

All trainings share lip encoder and vocoder of the folder ``--from`` and have the same budget; they differ in the seed
and in the part removed. They are scored in one run on the test split; the same command resumes an interrupted study.
The report compares each ablation with the whole model on the same clips and seeds: differences, BCa intervals and
permutation tests over the speakers of the test split, all seeds of a speaker together, Holm over the table.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.study import Pair, Study, call, label, score, settings, study_parser, tables
from f2v_bench.utils.paths import atomic_write

WHOLE = "whole"
PARTS = ("hierarchy", "timbre", "prosody")


def study(seeds: int) -> Study:
    """Return the study: the whole model, and its ablations."""
    titles = {f"no-{part}": f"without {part}" for part in PARTS}
    pairs = [Pair(title, variant, WHOLE) for variant, title in titles.items()]
    return Study({WHOLE: "whole model"} | titles, pairs, seeds, "worse")


def train(args: argparse.Namespace, variant: str, seed: int) -> Path:
    """Train a variant with one seed and return its weight file."""
    out: Path = args.work / label(variant, seed)
    if not (out / "weights.safetensors").is_file():
        part = "none" if variant == WHOLE else variant.removeprefix("no-")
        texts = [f"main_stage.steps={args.steps}", f"main_stage.validate_every={args.steps}", *args.set]
        call(
            "train", "-m", "ours", "--preset", args.preset, "-d", args.dataset, "--data-root", args.data_root,
            "--from", args.base, "--ablate", part, "--seed", str(seed), "-o", out, *settings(texts),
        )  # fmt: skip
    return out / "weights.safetensors"


def report(args: argparse.Namespace, run: Path) -> str:
    """Return the report in Markdown."""
    found = tables(study(args.seeds), run)
    return f"""\
# Ablation of the reference model: {found.data}

Trained by this project on a small corpus, {args.steps:,} steps of the main stage each, {args.seeds} seeds; lip encoder
and vocoder are shared. No number of the paper is reproduced.

Mean over seeds ± their standard deviation; (n/m): scored of expected clips.

{found.values}
Ablation minus whole model, on the clips of both, all seeds pooled: difference [95 % paired BCa interval over
{found.units}], p of a paired permutation test, Holm over {found.count} tests. Bold: significantly worse.

{found.differences}
{found.signatures}
"""


def main() -> None:
    """Train what is missing, score it and write the report."""
    args = study_parser(str(__doc__), 500, "ablation.md").parse_args()
    wanted = [(variant, seed) for seed in range(args.seeds) for variant in study(args.seeds).variants]
    with ThreadPoolExecutor(args.jobs) as pool:
        files = list(pool.map(lambda one: train(args, *one), wanted))
    run = score(args, "ours", {label(*one): file for one, file in zip(wanted, files, strict=True)})
    atomic_write(args.out or args.work / "ablation.md", report(args, run))


if __name__ == "__main__":
    main()
