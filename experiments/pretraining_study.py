"""Study of audio pre-training of a decoder, and of forms of its batch norms: train, score, test.

    python -m experiments.pretraining_study --work data/study --from data/shipped/demo-tiny --data-root data/demo

For each seed an audio autoencoder is trained once (``--audio-steps``), on the folder ``--audio`` or on the audio of the
training clips, which measures the effect of pre-training without more data. Its decoder initializes a training on video
(``init``), which is compared with one from scratch, and three more, one per form of batch norm, by ``--norms-in``, a
transfer in which the forms differ. In a transfer with lips only, such as ``init``, all three forms compute the same.
``--model ours`` has no batch norm, and only compares ``init`` with ``scratch``.

Lip encoder, vocoder, clips and number of steps on video are equal. All trainings are scored in one run on the test
split; the same command resumes an interrupted study. The report compares the same clips and seeds, as in ``ablate``.
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
POINTS = 4  # points of a learning curve
DECODER = "audio-decoder.safetensors"
OURS = "ours"


def study(args: argparse.Namespace) -> Study:
    """Return the study: training from scratch, with a pre-trained decoder, and with each form of batch norm."""
    forms = {} if args.model == OURS else FORMS
    titles = {SCRATCH: SCRATCH, INIT: INIT} | {variant: f"{args.norms_in}, {form}" for variant, form in forms.items()}
    pairs = [Pair(f"{titles[variant]} - {SCRATCH}", variant, SCRATCH) for variant in (INIT, *forms)]
    pairs += [Pair(f"{titles[variant]} - {forms[SHARED]}", variant, SHARED) for variant in OWN if variant in forms]
    return Study(titles, pairs, args.seeds, "better")


def transfer(args: argparse.Namespace, mode: str) -> str:
    """Return the setting of the transfer mode."""
    return f"transfer={mode}" if args.model == OURS else f"transfer.mode={mode}"


def train_command(args: argparse.Namespace, seed: int, out: Path) -> list[str | Path]:
    """Return the arguments that all trainings of a seed share."""
    return [
        "train", "-m", args.model, "--preset", args.preset, "-d", args.dataset, "--data-root", args.data_root,
        "--from", args.base, "--seed", str(seed), "-o", out,
        *settings([
            f"main_stage.steps={args.steps}", f"main_stage.validate_every={max(1, args.steps // POINTS)}", *args.set
        ]),
    ]  # fmt: skip


def audio_settings(args: argparse.Namespace) -> list[str]:
    """Return the settings of the audio, for pre-training and joint training."""
    return [f"pretraining.folder={args.audio}"] if args.audio else []


def pretrain(args: argparse.Namespace, seed: int) -> Path:
    """Pre-train the decoder of a seed and return its file."""
    out: Path = args.work / label("audio", seed)
    if not (out / DECODER).is_file():
        texts = [f"audio_stage.steps={args.audio_steps}", f"audio_stage.validate_every={args.audio_steps}"]
        texts += [transfer(args, INIT)] if args.model == OURS else []  # adds the audio stage
        call(*train_command(args, seed, out), "--stage", "audio", *settings([*texts, *audio_settings(args)]))
    return out / DECODER


def train(args: argparse.Namespace, variant: str, seed: int) -> Path:
    """Train a variant on video with one seed and return its weight file."""
    out: Path = args.work / label(variant, seed)
    if not (out / "weights.safetensors").is_file():
        mode = args.norms_in if variant in FORMS else variant
        texts = [transfer(args, mode)] + ([f"domain_norm={FORMS[variant]}"] if variant in FORMS else [])
        if variant != SCRATCH:
            texts += [f"pretraining.decoder={args.work / label('audio', seed) / DECODER}", *audio_settings(args)]
        call(*train_command(args, seed, out), *settings(texts))
    return out / "weights.safetensors"


def report(args: argparse.Namespace, run: Path) -> str:
    """Return the report in Markdown."""
    wanted = study(args)
    found = tables(wanted, run)
    audio = f"the audio of '{args.audio.name}'" if args.audio else "the audio of the same training clips"
    return f"""\
# Audio pre-training of the decoder of `{args.model}`: {found.data}

Trained by this project on a small corpus: {args.audio_steps:,} steps on {audio},
then {args.steps:,} steps on video each, {args.seeds} seeds; lip encoder and vocoder are shared.
`scratch` has the same steps on video and no pre-training. No number of the paper is reproduced.

Mean over seeds ± their standard deviation; (n/m): scored of expected clips.

{found.values}
Differences on the clips of both, all seeds pooled: difference [95 % paired BCa interval over
{found.units}], p of a paired permutation test, Holm over {found.count} tests. Bold: significantly better.

{found.differences}
Learning curves: L1 of log mels on clips of the validation split, by steps on video; mean over seeds ± their standard
deviation.

{curves(wanted, args.work, "val/mel")}
{found.signatures}
"""


def main() -> None:
    """Train what is missing, score it and write the report."""
    parser = study_parser(str(__doc__), 300, "pretraining.md")
    parser.add_argument("--model", default="v2a-mel", choices=("v2a-mel", "v2a-wave", OURS))
    parser.add_argument("--audio", type=Path, help="folder of audio files to pre-train on")
    parser.add_argument("--audio-steps", type=int, default=1000, help="steps of the pre-training")
    parser.add_argument(
        "--norms-in", default="joint", choices=NORMS_IN, help="transfer mode in which norms are compared"
    )
    args = parser.parse_args()
    wanted = [(variant, seed) for seed in range(args.seeds) for variant in study(args).variants]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda seed: pretrain(args, seed), range(args.seeds)))
        files = list(pool.map(lambda one: train(args, *one), wanted))
    run = score(args, args.model, {label(*one): file for one, file in zip(wanted, files, strict=True)})
    atomic_write(args.out or args.work / "pretraining.md", report(args, run))


if __name__ == "__main__":
    main()
