"""Train every weight file that ships with the package, from nothing, score it, and write its model card.

    python scripts/train_shipped.py --work data/shipped [--grid ../shared/data/grid] [--only demo-tiny]

Stopped at any time, the same command goes on; what is finished is left as it is. The cards say how long each stage took
on two CPU cores of 2.6 GHz; making the demo corpus and preparing the clips comes on top, about 22 minutes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "reference_model" / "shipped"
DEMO_CLIPS = 1250


@dataclass(frozen=True, slots=True)
class Shipped:
    """One weight file.

    Attributes:
        name: of the file.
        dataset: it is for.
        scored: splits that its card reports.
        settings: on top of the preset.
    """

    name: str
    dataset: str
    scored: tuple[str, ...]
    settings: tuple[str, ...] = ()


SHIPPED = (
    Shipped(
        "demo-tiny",
        "demo",
        ("test",),
        (
            "lips_stage.steps=1200",
            "lips_stage.validate_every=300",
            "main_stage.steps=1200",
            "main_stage.validate_clips=30",
        ),
    ),
    Shipped("grid-s1-tiny", "grid", ("test", "val"), ("timbre.contrast_weight=0", "flow.temperature=0.4")),
)


def call(*words: str | Path) -> None:
    """Run ``f2v-bench`` with these words; exit code 3, some clips failed, is a result too."""
    done = subprocess.run([sys.executable, "-m", "f2v_bench.cli.main", *map(str, words)], check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.returncode)


def train(one: Shipped, root: Path, work: Path) -> Path:
    """Train it, and return its weight file."""
    out = work / one.name
    settings = [word for text in one.settings for word in ("--set", text)]
    call("train", "-m", "ours", "--preset", "tiny", "-d", one.dataset, "--data-root", root, "-o", out, *settings)
    return out / "weights.safetensors"


def score(one: Shipped, weights: Path, root: Path, work: Path) -> list[Path]:
    """Score it beside real speech and the vocoder's own resynthesis, and return the run folders."""
    folders = []
    for split in one.scored:
        folder = work / f"{one.name}-{split}"
        models = ["ground-truth", "resynthesis", f"ours-vocoder=ours-vocoder:{weights}", f"ours=ours:{weights}"]
        named = [word for model in models for word in ("-m", model)]
        call("run", *named, "-d", one.dataset, "--data-root", root, "--split", split, "-o", folder, "--all-columns")
        folders.append(folder)
    return folders


def main() -> None:
    """Train, score and install what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora, checkpoints and runs")
    parser.add_argument("--grid", type=Path, help="root of GRID with speaker s1; without it, GRID is left out")
    parser.add_argument("--only", choices=[one.name for one in SHIPPED], help="train this one alone")
    asked = parser.parse_args()
    roots = {"demo": asked.work / "demo", "grid": asked.grid}
    for one in SHIPPED:
        root = roots[one.dataset]
        if root is None or asked.only not in (None, one.name):
            continue
        if one.dataset == "demo":
            call("data", "make-demo", "--clips", str(DEMO_CLIPS), "-o", root)
        weights = train(one, root, asked.work)
        folders = score(one, weights, root, asked.work)
        shutil.copyfile(weights, WEIGHTS / f"{one.name}.safetensors")
        from f2v_bench.training.card import write_card
        from reference_model.weights import Weights

        write_card(WEIGHTS / f"{one.name}.md", Weights(WEIGHTS / f"{one.name}.safetensors"), folders)


if __name__ == "__main__":
    main()
