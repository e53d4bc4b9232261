"""``f2v-bench train``: train a model on a corpus, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from f2v_bench.cli.run import DataRoot, DatasetName

EXAMPLES = """
Examples:

f2v-bench train --model ours --preset tiny --dataset grid --data-root ~/data/grid

f2v-bench train -m ours -d demo --data-root data/demo --stage lips --set lips_stage.steps=2000

f2v-bench train -m ours -d demo --data-root data/demo --ablate timbre --from runs/train/ours-demo

f2v-bench train -m svts -d demo --data-root data/demo --from runs/train/ours-demo

f2v-bench train -m ours --preset base -d lrs3 --data-root ~/data/lrs3 --accelerator gpu --devices 8 --strategy ddp

The same command resumes an interrupted training. TensorBoard: tensorboard --logdir runs/train
"""


def train(
    model: Annotated[str, typer.Option("--model", "-m", help="Model to train.")] = "ours",
    dataset: DatasetName = "demo",
    data_root: DataRoot = None,
    preset: Annotated[
        str, typer.Option(help="Model size: tiny (fits a CPU), paper, or another preset of the model.")
    ] = "tiny",
    stage: Annotated[str | None, typer.Option(help="Stage to train. Default: all stages in order.")] = None,
    ablate: Annotated[
        str, typer.Option(help="Part of the model to remove; for ours: hierarchy, timbre or prosody.")
    ] = "none",
    base: Annotated[
        Path | None, typer.Option("--from", help="Folder of a training whose finished stages are reused.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings on top of the preset.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Setting, for example main_stage.steps=2000."),
    ] = None,
    train_split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to validate on.")] = "val",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Training folder. Default: runs/train/MODEL-DATASET[-no-PART][-sSEED]."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="Lightning accelerator: auto, cpu or gpu.")] = "auto",
    devices: Annotated[str, typer.Option(help="Lightning: number of devices, or auto.")] = "1",
    nodes: Annotated[int, typer.Option(help="Lightning: number of machines.")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning strategy: auto, ddp, ...")] = "auto",
    loaders: Annotated[int, typer.Option(min=0, help="Number of processes that load batches.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes that prepare clips. Default: one per core.")
    ] = None,
) -> int:
    """Train a model. Clips are prepared once; an interrupted training is resumed to the same result."""
    from f2v_bench import api
    from f2v_bench.cli.console import TrainingProgressBars, console, error_console
    from f2v_bench.training.trainer import TrainerConfig

    folder = out or api.training_dir(model, dataset, ablate, seed)
    with TrainingProgressBars() as bars:
        weights = api.train(
            model,
            dataset,
            root=data_root,
            preset=preset,
            stage=stage,
            ablate=ablate,
            base=base,
            config=config,
            settings=settings or [],
            train_split=train_split,
            val_split=val_split,
            seed=seed,
            out=folder,
            trainer=TrainerConfig(accelerator, devices, nodes, strategy, loaders),
            workers=workers,
            progress=bars.update,
            log=lambda message: error_console().print(message, markup=False, highlight=False),
        )
    text = f"{folder}: not all stages are trained yet" if weights is None else f"{weights}"
    console().print(text, markup=False, highlight=False, soft_wrap=True)
    return 0
