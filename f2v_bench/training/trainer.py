"""Lightning, set up once for every stage of every model: checkpoints, resume, TensorBoard, devices."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Batch, Example
from f2v_bench.training.data.loader import StepSampler, build_loader

if TYPE_CHECKING:
    import lightning
    import numpy as np
    from torch.utils.data import DataLoader

    from f2v_bench.modeling.shared_config import StageConfig

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Where a training runs; every field is Lightning's.

    Attributes:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: how many, or ``auto``.
        nodes: machines.
        strategy: ``auto``, ``ddp``, ...
        workers: processes that load data.
        save_every: steps between two checkpoints.
        progress: whether to draw a bar.
    """

    accelerator: str = "auto"
    devices: str = "1"
    nodes: int = 1
    strategy: str = "auto"
    workers: int = 0
    save_every: int = 500
    progress: bool = True


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Items to train on and batches to validate on.

    Attributes:
        count: clips.
        load: the item of a clip, with a generator for what is drawn on loading.
        validation: ready batches, each pass anew.
        groups: clips of each group, where they lie in groups that are taken one after the other.
    """

    count: int
    load: Callable[[int, np.random.Generator], Example]
    validation: Sequence[Batch] = field(default_factory=tuple)
    groups: Sequence[int] = ()


def fit(
    module: lightning.LightningModule,
    source: TrainingData,
    stage: StageConfig,
    folder: Path,
    hardware: TrainerConfig,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> None:
    """Train a module for its stage's steps; a folder with a checkpoint is gone on with from there.

    Args:
        module: takes batches of ``loader.Steps`` and keeps what synthesis needs.
        source: what it sees.
        stage: steps, batch, precision, validation.
        folder: of checkpoint and TensorBoard files.
        hardware: where.
        seed: of the order of the clips.
        callbacks: Lightning's.

    Raises:
        F2VError: the folder's checkpoint cannot be read, or the hardware is not there.
        KeyboardInterrupt: Ctrl-C; the last checkpoint is kept.
    """
    last = folder / CHECKPOINT
    first = trained_steps(last)
    if first >= stage.steps:
        return
    trainer = _trainer(module, len(source.validation), stage, folder, hardware, callbacks)
    steps = StepSampler(
        source.load,
        count=source.count,
        batch=stage.batch * trainer.world_size,
        steps=stage.steps,
        seed=seed,
        first=first,
        rank=trainer.global_rank,
        world=trainer.world_size,
        groups=source.groups,
    )
    loader = build_loader(steps, hardware.workers, pin=trainer.strategy.root_device.type == "cuda")
    resumed = last if first else None
    try:
        trainer.fit(module, loader, _as_loader(source.validation), ckpt_path=resumed, weights_only=True)
    except SystemExit as stop:  # what Lightning makes of Ctrl-C
        if trainer.interrupted:
            raise KeyboardInterrupt from stop
        raise


def _trainer(
    module: lightning.LightningModule,
    validation: int,
    stage: StageConfig,
    folder: Path,
    hardware: TrainerConfig,
    callbacks: Sequence[Any],
) -> lightning.Trainer:
    import lightning
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.callbacks import LambdaCallback
    from lightning.pytorch.loggers import TensorBoardLogger

    def save(trainer: lightning.Trainer, _module: Any, _outputs: Any, batch: Batch, _index: int) -> None:
        done = int(batch["step"]) + 1
        if done % hardware.save_every == 0 or done == stage.steps:
            _save(trainer, folder / CHECKPOINT)

    silence_lightning()
    try:
        return lightning.Trainer(
            accelerator=hardware.accelerator,
            devices=int(hardware.devices) if hardware.devices.isdigit() else hardware.devices,
            num_nodes=hardware.nodes,
            strategy=hardware.strategy,
            precision=stage.precision,
            max_epochs=-1,
            max_steps=stage.steps,
            limit_val_batches=validation,
            val_check_interval=min(stage.validate_every, stage.steps),
            check_val_every_n_epoch=None,
            gradient_clip_val=stage.clip if module.automatic_optimization else None,
            logger=TensorBoardLogger(folder, name="", version="tensorboard"),
            callbacks=[LambdaCallback(on_train_batch_end=save), *callbacks],
            enable_checkpointing=False,
            enable_progress_bar=hardware.progress,
            enable_model_summary=False,
            log_every_n_steps=50,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise F2VError(
            f"Lightning cannot train so on this machine: {error}",
            "look at --accelerator, --devices, --nodes and --strategy",
        ) from error


def _save(trainer: lightning.Trainer, path: Path) -> None:
    """Write a checkpoint whole or not at all; Lightning's own way of it passes through another file system."""
    part = path.with_name(f".{path.name}.part")
    trainer.save_checkpoint(part)
    if trainer.is_global_zero:
        part.replace(path)


def _as_loader(batches: Sequence[Batch]) -> DataLoader[Batch] | None:
    from torch.utils.data import DataLoader, Dataset

    return DataLoader(cast("Dataset[Batch]", list(batches)), batch_size=None) if batches else None


def require_lightning() -> None:
    """Raises F2VError: the packages that train are not installed."""
    missing = [name for name in ("lightning", "tensorboard") if find_spec(name) is None]
    if missing:
        raise F2VError(f"training needs {' and '.join(missing)}", "install them with: pip install 'f2v-bench[train]'")


def trained_steps(checkpoint: Path) -> int:
    """Batches that a checkpoint of ``fit`` has seen; 0 where there is none.

    Raises:
        F2VError: the file cannot be read.
    """
    if not checkpoint.is_file():
        return 0
    from f2v_bench.nn.checkpoints.torch import read_checkpoint

    content = read_checkpoint(checkpoint, f"remove '{checkpoint}' to begin anew", with_settings=True)
    progress = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
    return int(progress["processed"])


def silence_lightning() -> None:
    """Keep Lightning from telling what the suite says itself."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for text in (
        ".*does not have many workers.*",
        ".*IterableDataset.*",
        ".*isinstance.treespec.*",
        ".*LeafSpec.*",
        ".*in eval mode at the start of training.*",  # the average
        ".*but have no `val_dataloader`.*",
    ):
        warnings.filterwarnings("ignore", text)
