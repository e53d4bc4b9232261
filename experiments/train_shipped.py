"""Train all shipped weights, score all models in one run, and write model cards and reports.

    python -m experiments.train_shipped --work data/shipped [--grid ../shared/data/grid] [--only demo-tiny]

Lip encoder and vocoder of a corpus are trained once, with the reference model. Every baseline uses them, with the same
clips and the same number of steps. The same command resumes an interrupted study and keeps finished parts. The cards
have the time of each stage; rendering the demo corpus and preparing the clips takes about 22 minutes more on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.study import call, settings
from f2v_bench.errors import F2VError
from f2v_bench.modeling.checkpoint import strip_shared, write_shared
from f2v_bench.modeling.model_card import write_card
from f2v_bench.modeling.spec import ModelSpec
from f2v_bench.registry import MODELS
from f2v_bench.reporting.comparison import compare_runs
from f2v_bench.reporting.comparison_table import markdown as comparison_markdown
from f2v_bench.reporting.results import read_results
from f2v_bench.reporting.table import markdown as results_markdown
from f2v_bench.reporting.table import markdown_by_column
from f2v_bench.runs.folder import RunFolder
from f2v_bench.utils.paths import atomic_write

ROOT = Path(__file__).resolve().parents[1]
OURS = "ours"
BASELINES = ("svts", "intelligible", "diffv2s", "v2a-mel", "v2a-wave")
ORACLE = "ours-same-clip"  # the reference model with the ground-truth speaker embedding, as most baselines have
LONGER = "ours-longer"  # the reference model with more steps than the others
ANCHORS = ("ground-truth", "resynthesis")
DEMO_CLIPS = 1250
GOOD = (0, 3)  # exit codes; 3: some clips failed, which is a result too
COLUMNS = ("wer", "dnsmos_ovrl", "rmse_f0", "f0_median", "estoi", "mcd", "secs", "mel_l1")
HEAD = """\
# {title}

All models were trained by this project on `{trained_on}` ({clips:,} clips, {hours:.2f} h), on the same frozen lip
features and with the same vocoder; the table has the steps of their own stages. The models and the data are small:
no number of a paper is reproduced. A speaker embedding from `same-clip` comes from the speech that is predicted, one
from `face` from the video only. `ours-same-clip` is `ours` with the ground-truth speaker embedding, as most baselines
have.{longer}

Made by `python -m experiments.train_shipped`; scores by `f2v-bench run`, differences by `f2v-bench compare`.

## Budget and speed

| system | million weights | steps | minutes | speaker embedding | RTF | evaluations |
|---|---|---|---|---|---|---|
{budget}

RTF: seconds of synthesis a second of speech, the median over clips, without crops and loading, on {hardware}.
Evaluations: runs of the decoder per clip. Minutes are wall time of these stages on two CPU cores, shared with
other work.

## Scores

{scores}
{differences}"""


LONGER_HEAD = f"""
`{LONGER}` has the shipped weights of `ours`, with more steps than the others: it shows the effect of steps, and is not
a fair comparison."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Trainings of one corpus.

    Attributes:
        name: name of the weight files.
        dataset: name of the corpus.
        scored: splits in cards and reports.
        shared: settings of every training.
        own: settings of single models, by label.
        ships: labels of the models whose weights are packaged, within the size limit of the packages.
    """

    name: str
    dataset: str
    scored: tuple[str, ...]
    shared: tuple[str, ...] = ()
    own: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ships: tuple[str, ...] = (OURS, *BASELINES)

    def settings(self, label: str) -> list[str]:
        """Return the command-line arguments of the settings of one model."""
        return settings([*self.shared, *dict(self.own).get(label, ())])


GRID_OURS = ("timbre.contrast_weight=0", "flow.temperature=0.4")
PRETRAINING = tuple((model, ("audio_stage.steps=800",)) for model in BASELINES if model.startswith("v2a-"))
CORPORA = (
    Corpus(
        "demo-tiny",
        "demo",
        ("test",),
        shared=("lips_stage.steps=1200", "main_stage.steps=1200"),
        own=((OURS, ("lips_stage.validate_every=300", "main_stage.validate_clips=30")), *PRETRAINING),
    ),
    Corpus(
        "grid-s1-tiny",
        "grid",
        ("test", "val"),
        own=(
            (OURS, GRID_OURS),
            (LONGER, (*GRID_OURS, "main_stage.steps=4000")),
            ("diffv2s", ("diffusion.guidance=0",)),
            *PRETRAINING,
        ),
        ships=(LONGER,),
    ),
)


def model_of(label: str) -> str:
    """Return the registered name of the model of a table row."""
    return OURS if label in (ORACLE, LONGER) else label


def train(one: Corpus, label: str, root: Path, work: Path) -> Path:
    """Train a model on the shared stages of the reference model and return its weight file."""
    ours = work / one.name
    out = ours if label == OURS else work / f"{label}-{one.name}"
    if not (out / "weights.safetensors").is_file():
        base = () if label == OURS else ("--from", ours)
        words = ("-m", model_of(label), "--preset", "tiny", "-d", one.dataset, "--data-root", root, "-o", out, *base)
        call("train", *words, *one.settings(label), good=GOOD)
    return out / "weights.safetensors"


def score(one: Corpus, weights: dict[str, Path], root: Path, work: Path) -> list[Path]:
    """Score all models, real speech and its copy synthesis, and return the run folders."""
    folders = []
    for split in one.scored:
        folder = work / f"{one.name}-{split}"
        models = [*ANCHORS, f"ours-vocoder=ours-vocoder:{weights[OURS]}", f"{ORACLE}={OURS}:{weights[OURS]}"]
        models += [f"{label}={model_of(label)}:{file}" for label, file in weights.items()]
        named = [word for text in models for word in ("-m", text)]
        call(
            "run",
            *named,
            "-d",
            one.dataset,
            "--data-root",
            root,
            "--split",
            split,
            "-o",
            folder,
            "--set",
            f"{ORACLE}.speaker_reference=same-clip",
            "--all-columns",
            good=GOOD,
        )
        folders.append(folder)
    return folders


def ship(one: Corpus, weights: dict[str, Path], runs: list[Path]) -> None:
    """Write shared weights, weight files and cards into the data packages."""
    base = packaged("shared", one.name)
    write_shared(weights[OURS], base)
    results = {run.name: read_results(RunFolder(run), all_columns=True) for run in runs}
    for label, file in ((label, file) for label, file in weights.items() if label in one.ships):
        spec: ModelSpec = MODELS.load(model_of(label))
        out = packaged(spec.name, one.name)
        strip_shared(file, base, out, spec.vocoder_part)
        beside = {OURS: (f"{OURS}-vocoder", ORACLE), LONGER: (f"{OURS}-vocoder",)}.get(label, ())
        tables = {name: markdown_by_column(found, (*ANCHORS, *beside, label)) for name, found in results.items()}
        write_card(out.with_suffix(".md"), spec.checkpoint(out), tables)


def packaged(model: str, name: str) -> Path:
    """Return the file of weights in the data packages; the first package has what ``f2v-bench run`` needs."""
    core = name == "demo-tiny" and model in ("shared", MODELS.load(OURS).name)
    package = "f2v-bench-weights" if core else "f2v-bench-weights-baselines"
    path = ROOT / "weights" / package / "src" / package.replace("-", "_") / model / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def report(run: Path, weights: dict[str, Path]) -> str:
    """Return budget, speed, scores and paired differences of a run, in Markdown."""
    folder = RunFolder(run)
    results = read_results(folder, columns=COLUMNS)
    audio = folder.table("audio")
    audio = audio[audio["status"] == "ok"]
    speeds = (audio["seconds"] / audio["duration_s"]).groupby(audio["system"]).median()
    files = {label: MODELS.load(model_of(label)).checkpoint(path) for label, path in weights.items()}
    voices = {row.label: row.speaker_reference for row in results.systems}
    budget = []
    for label, file in files.items():
        stages = {name: stage for name, stage in file.facts.stages.items() if name not in ("lips", "vocoder")}
        steps = " + ".join(f"{int(stage['steps']):,} {name}" for name, stage in stages.items())
        minutes = sum(stage["seconds"] for stage in stages.values()) / 60
        size = sum(parameter.numel() for parameter in file.model().parameters()) / 1e6
        calls = "adaptive" if file.nfe is None else str(file.nfe)
        cells = (f"{size:.1f}", steps, f"{minutes:.0f}", voices[label], f"{speeds[label]:.3f}", calls)
        budget.append(f"| {label} | {' | '.join(cells)} |")
    facts, scores = files[OURS].facts, without(results_markdown(results), ())
    differences = []
    for one in (OURS, ORACLE):
        if one in voices:
            text = comparison_markdown(compare_runs([folder], baseline=one, columns=COLUMNS))
            differences.append(f"## Differences from `{one}`\n\n{without(text, scores.splitlines())}")
    return HEAD.format(
        title=results.title,
        trained_on=facts.list_id,
        clips=facts.clips,
        hours=facts.hours,
        longer=LONGER_HEAD if LONGER in files else "",
        budget="\n".join(budget),
        hardware=facts.hardware,
        scores=scores,
        differences="\n".join(differences),
    )


def without(text: str, known: Iterable[str]) -> str:
    """Remove known notes, and notes on weights that this machine lacks."""
    notes = {line for line in known if line.startswith("- ")}
    return "".join(
        line for line in text.splitlines(True) if line.rstrip() not in notes and ": unavailable (" not in line
    )


def main() -> None:
    """Train, score, package and report the selected corpora and models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for corpora, checkpoints and runs")
    parser.add_argument("--grid", type=Path, help="root of GRID with speaker s1; without it GRID is skipped")
    parser.add_argument("--only", choices=[one.name for one in CORPORA], help="only this corpus")
    parser.add_argument("--models", nargs="*", default=list(BASELINES), help="baselines, all by default")
    args = parser.parse_args()
    for one in CORPORA:
        root = {"demo": args.work / "demo", "grid": args.grid}[one.dataset]
        if root is None or args.only not in (None, one.name):
            continue
        if one.dataset == "demo" and not root.is_dir():
            call("data", "make-demo", "--clips", str(DEMO_CLIPS), "-o", root, good=GOOD)
        labels = (OURS, *(label for label in one.ships if label == LONGER), *args.models)
        weights = {label: train(one, label, root, args.work) for label in labels}
        runs = score(one, weights, root, args.work)
        ship(one, weights, runs)
        for run in runs:
            atomic_write(ROOT / "reports" / f"{run.name}.md", report(run, weights))


if __name__ == "__main__":
    try:
        main()
    except F2VError as error:
        sys.exit(str(error))
