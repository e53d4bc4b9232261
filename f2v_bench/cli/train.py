"""``f2v-bench train``: a model on a corpus, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2v_bench.cli.console import ProgressBars, console, error_console
from f2v_bench.cli.run import DataRoot, DatasetName
from f2v_bench.errors import F2VError, suggest
from f2v_bench.registry import EXPERIMENTS

if TYPE_CHECKING:
    from f2v_bench.training.experiment import Experiment, TrainOptions

EXAMPLES = """
Examples:

f2v-bench train --model ours --preset tiny --dataset grid --data-root ~/data/grid

f2v-bench train -m ours -d demo --data-root data/demo --stage lips --set lips_stage.steps=2000

f2v-bench train -m ours -d demo --data-root data/demo --ablate timbre --from runs/train/ours-demo

f2v-bench train -m svts -d demo --data-root data/demo --from runs/train/ours-demo

f2v-bench train -m ours --preset base -d lrs3 --data-root ~/data/lrs3 --accelerator gpu --devices 8 --strategy ddp

The same command goes on where it was stopped. TensorBoard: tensorboard --logdir runs/train
"""


def train(
    model: Annotated[str, typer.Option("--model", "-m", help="Which model.")] = "ours",
    dataset: DatasetName = "demo",
    data_root: DataRoot = None,
    preset: Annotated[str, typer.Option(help="Size: tiny (a CPU), paper, and others that the model has.")] = "tiny",
    stage: Annotated[str | None, typer.Option(help="Only this stage. Default: every stage in turn.")] = None,
    ablate: Annotated[str, typer.Option(help="Leave a part out; of ours: hierarchy, timbre or prosody.")] = "none",
    base: Annotated[
        Path | None, typer.Option("--from", help="Folder of a training whose finished stages are used.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of settings on top of the preset.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, as main_stage.steps=2000.")
    ] = None,
    train_split: Annotated[str, typer.Option(help="The split to train on.")] = "train",
    val_split: Annotated[str, typer.Option(help="The split to validate on.")] = "val",
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder. Default: runs/train/MODEL-DATASET[-no-PART][-sSEED].")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="Lightning's: auto, cpu, gpu.")] = "auto",
    devices: Annotated[str, typer.Option(help="Lightning's: how many.")] = "1",
    nodes: Annotated[int, typer.Option(help="Lightning's: machines.")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's: auto, ddp, ...")] = "auto",
    loaders: Annotated[int, typer.Option(min=0, help="Processes that load batches.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that prepare clips. Default: one a core.")
    ] = None,
) -> int:
    """Train a model. Clips are prepared once; a killed training goes on to the same result."""
    from f2v_bench.cli.options import load_dataset
    from f2v_bench.training.experiment import TrainOptions
    from f2v_bench.training.trainer import TrainerConfig, require_lightning
    from f2v_bench.utils.environment import cores
    from f2v_bench.utils.multiprocessing import setup_numba_cache

    require_lightning()
    setup_numba_cache()
    kind: type[Experiment] = EXPERIMENTS.load(model)
    if stage is not None and stage not in kind.stages:
        raise F2VError(f"'{model}' has no stage '{stage}'", suggest(stage, kind.stages))
    part = "" if ablate == "none" else f"-no-{ablate}"
    training = load_dataset(dataset, data_root, train_split, None)
    with _Bars() as bars:
        options = TrainOptions(
            folder=out or Path("runs/train") / f"{model}-{dataset}{part}{f'-s{seed}' if seed else ''}",
            dataset=dataset,
            list_id=training.list_id,
            clips=training.clips(),
            validation=load_dataset(dataset, data_root, val_split, None).clips(),
            grammar=training.grammar,
            base=base,
            preset=preset,
            ablate=ablate,
            settings_file=config,
            settings=settings or [],
            seed=seed,
            processes=workers or cores(),
            hardware=TrainerConfig(accelerator, devices, nodes, strategy, loaders),
            watcher=bars.watch,
            notice=lambda what: error_console().print(what, markup=False, highlight=False),
        )
        _train(kind, options, stage)
    return 0


def _train(kind: type[Experiment], options: TrainOptions, stage: str | None) -> None:
    trainee = kind(options)
    if stage and not trainee.needs(stage):
        options.notice(f"with these settings there is nothing to train in the stage '{stage}'")
    for name in [stage] if stage else kind.stages:
        trainee.train(name)
    weights = trainee.export()
    out = console()
    if weights is None:
        out.print(f"{options.folder}: not all stages are trained yet", markup=False, highlight=False)
    else:
        out.print(f"{weights}", markup=False, highlight=False, soft_wrap=True)


class _Bars(ProgressBars):
    """Bars of work that says how much of it is done; between two pieces of work the terminal is Lightning's."""

    def __enter__(self) -> _Bars:
        super().__enter__()
        self._done: dict[str, int] = {}
        return self

    def watch(self, what: str, done: int, count: int) -> None:
        if self._progress:
            self._progress.start()
        if what not in self._done:
            self.stage(what, count, done)
        else:
            self.advance(what, done - self._done[what])
        self._done[what] = done
        if self._progress and done >= count:
            self._progress.stop()
