"""What each part of the reference model is worth: train it whole and without a part, several times, score and test.

    python experiments/ablate.py --work data/shipped/ablation --from data/shipped/demo-tiny --data-root data/shipped/demo

All trainings share lip encoder and vocoder of the folder ``--from``, have the same budget and differ in seed and in
what is left out. They are scored in one run on the test split; what is stopped goes on with the same command. The
report pairs each ablation with the whole model on the same clips and seeds: differences, BCa intervals and permutation
tests over the speakers of the test split, all seeds of a speaker together, Holm over the table.
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
    """The whole model, and what is compared with it."""
    titles = {f"no-{part}": f"without {part}" for part in PARTS}
    pairs = [Pair(title, variant, WHOLE) for variant, title in titles.items()]
    return Study({WHOLE: "whole model"} | titles, pairs, seeds, "worse")


def train(asked: argparse.Namespace, variant: str, seed: int) -> Path:
    """One training, and its weights."""
    out: Path = asked.work / label(variant, seed)
    if not (out / "weights.safetensors").is_file():
        part = "none" if variant == WHOLE else variant.removeprefix("no-")
        texts = [f"main_stage.steps={asked.steps}", f"main_stage.validate_every={asked.steps}", *asked.set]
        call(
            "train", "-m", "ours", "--preset", asked.preset, "-d", asked.dataset, "--data-root", asked.data_root,
            "--from", asked.base, "--ablate", part, "--seed", str(seed), "-o", out, *settings(texts),
        )  # fmt: skip
    return out / "weights.safetensors"


def report(asked: argparse.Namespace, run: Path) -> str:
    """The ablation table in Markdown."""
    found = tables(study(asked.seeds), run)
    return f"""\
# Ablation of the reference model: {found.data}

Trained here on a small corpus, {asked.steps:,} steps of the main stage each, {asked.seeds} seeds; lip encoder and
vocoder are shared. None of these numbers is a reproduction of the paper's.

Mean over seeds ± their standard deviation; (n/m): scored of expected clips.

{found.values}
Ablation minus whole model, on the clips that both have, all seeds together: difference [95 % paired BCa interval over
{found.units}], p of a paired permutation test, Holm over {found.count} tests. Bold: worse beyond chance.

{found.differences}
{found.signatures}
"""


def main() -> None:
    """Train what is missing, score it and write the report."""
    asked = study_parser(str(__doc__), 500, "ablation.md").parse_args()
    wanted = [(variant, seed) for seed in range(asked.seeds) for variant in study(asked.seeds).variants]
    with ThreadPoolExecutor(asked.jobs) as pool:
        files = list(pool.map(lambda one: train(asked, *one), wanted))
    run = score(asked, "ours", {label(*one): file for one, file in zip(wanted, files, strict=True)})
    atomic_write(asked.out or asked.work / "ablation.md", report(asked, run))


if __name__ == "__main__":
    main()
