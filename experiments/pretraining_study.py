"""Whether a decoder that has heard speech is worth it, and what its batch norms should own: train, score, test.

    python experiments/pretraining_study.py --work data/study --from data/shipped/demo-tiny --data-root data/shipped/demo

For each seed an audio autoencoder is trained once (``--audio-steps``), on the folder ``--audio`` or on the sound of the
training clips, which tells what the same data is worth when it is heard before it is seen. Its decoder begins a
training on video, ``init``, beside one from scratch, and three more, one a form of batch norm, by ``--norms-in``: a
transfer in which forms differ at all. Where the decoder is only told of lips after it was handed over, as in ``init``,
all three forms compute the same. ``--model ours`` has no batch norm, and compares ``init`` with ``scratch`` alone.

Lip encoder, vocoder, clips and the number of steps on video are the same for all. They are scored in one run on the
test split; what is stopped goes on with the same command. The report pairs them on the same clips and seeds, as
``ablate.py`` does.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

from experiments.study import Pair, Study, call, curves, label, score, settings, study_parser, tables
from f2v_bench.nn.layers.domain_batchnorm import Form
from f2v_bench.utils.paths import atomic_write

SCRATCH, INIT = "scratch", "init"
FORMS: dict[str, str] = {form.replace("+", "-"): form for form in get_args(Form)}
SHARED, *OWN = FORMS
NORMS_IN = ("joint", "init+frozen", "frozen-then-unfrozen")  # transfers in which forms differ
POINTS = 4  # of a learning curve
DECODER = "audio-decoder.safetensors"
OURS = "ours"


def study(asked: argparse.Namespace) -> Study:
    """From scratch, begun, begun by each form, and what is compared with what."""
    forms = {} if asked.model == OURS else FORMS
    titles = {SCRATCH: SCRATCH, INIT: INIT} | {variant: f"{asked.norms_in}, {form}" for variant, form in forms.items()}
    pairs = [Pair(f"{titles[variant]} - {SCRATCH}", variant, SCRATCH) for variant in (INIT, *forms)]
    pairs += [Pair(f"{titles[variant]} - {forms[SHARED]}", variant, SHARED) for variant in OWN if variant in forms]
    return Study(titles, pairs, asked.seeds, "better")


def transfer(asked: argparse.Namespace, how: str) -> str:
    """The setting that says what a decoder begins with."""
    return f"transfer={how}" if asked.model == OURS else f"transfer.how={how}"


def words(asked: argparse.Namespace, seed: int, out: Path) -> list[str | Path]:
    """What all trainings of a seed share."""
    return [
        "train", "-m", asked.model, "--preset", asked.preset, "-d", asked.dataset, "--data-root", asked.data_root,
        "--from", asked.base, "--seed", str(seed), "-o", out,
        *settings([
            f"main_stage.steps={asked.steps}", f"main_stage.validate_every={max(1, asked.steps // POINTS)}", *asked.set
        ]),
    ]  # fmt: skip


def heard(asked: argparse.Namespace) -> list[str]:
    """What the autoencoder hears, before and beside the training on video."""
    return [f"pretraining.folder={asked.audio}"] if asked.audio else []


def pretrain(asked: argparse.Namespace, seed: int) -> Path:
    """The decoder of a seed."""
    out: Path = asked.work / label("audio", seed)
    if not (out / DECODER).is_file():
        texts = [f"audio_stage.steps={asked.audio_steps}", f"audio_stage.validate_every={asked.audio_steps}"]
        texts += [transfer(asked, INIT)] if asked.model == OURS else []  # which has no such stage otherwise
        call(*words(asked, seed, out), "--stage", "audio", *settings([*texts, *heard(asked)]))
    return out / DECODER


def train(asked: argparse.Namespace, variant: str, seed: int) -> Path:
    """One training on video, and its weights."""
    out: Path = asked.work / label(variant, seed)
    if not (out / "weights.safetensors").is_file():
        how = asked.norms_in if variant in FORMS else variant
        texts = [transfer(asked, how)] + ([f"norms={FORMS[variant]}"] if variant in FORMS else [])
        if variant != SCRATCH:
            texts += [f"pretraining.decoder={asked.work / label('audio', seed) / DECODER}", *heard(asked)]
        call(*words(asked, seed, out), *settings(texts))
    return out / "weights.safetensors"


def report(asked: argparse.Namespace, run: Path) -> str:
    """The study in Markdown."""
    wanted = study(asked)
    found = tables(wanted, run)
    sound = f"the sound of '{asked.audio.name}'" if asked.audio else "the sound of the same training clips"
    return f"""\
# What a decoder that has heard speech is worth in `{asked.model}`: {found.data}

Trained here on a small corpus: {asked.audio_steps:,} steps on {sound}, then {asked.steps:,} steps on video each,
{asked.seeds} seeds; lip encoder and vocoder are shared. From scratch has the same steps on video and none before. None
of these numbers is a reproduction of the paper's.

Mean over seeds ± their standard deviation; (n/m): scored of expected clips.

{found.values}
Differences on the clips that both have, all seeds together: difference [95 % paired BCa interval over
{found.units}], p of a paired permutation test, Holm over {found.count} tests. Bold: better beyond chance.

{found.differences}
Learning curves: L1 of log mels on clips of the validation split, by steps on video; mean over seeds ± their standard
deviation.

{curves(wanted, asked.work, "val/mel")}
{found.signatures}
"""


def main() -> None:
    """Train what is missing, score it and write the report."""
    parser = study_parser(str(__doc__), 300, "pretraining.md")
    parser.add_argument("--model", default="v2a-mel", choices=("v2a-mel", "v2a-wave", OURS))
    parser.add_argument("--audio", type=Path, help="folder of audio files to pre-train on")
    parser.add_argument("--audio-steps", type=int, default=1000, help="of the pre-training")
    parser.add_argument("--norms-in", default="joint", choices=NORMS_IN, help="transfer by which norms are compared")
    asked = parser.parse_args()
    wanted = [(variant, seed) for seed in range(asked.seeds) for variant in study(asked).variants]
    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(lambda seed: pretrain(asked, seed), range(asked.seeds)))
        files = list(pool.map(lambda one: train(asked, *one), wanted))
    run = score(asked, asked.model, {label(*one): file for one, file in zip(wanted, files, strict=True)})
    atomic_write(asked.out or asked.work / "pretraining.md", report(asked, run))


if __name__ == "__main__":
    main()
