"""Lightning trainer of every stage of every model: checkpoints, resume, TensorBoard, devices."""

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
    """Devices, processes and checkpoints of a training.

    Attributes:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: number of devices, or ``auto``.
        nodes: number of machines.
        strategy: ``auto``, ``ddp`` or another one of Lightning's.
        workers: processes that load data.
        save_every: steps between two checkpoints.
        progress: True for a progress bar.
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
    """Training examples and validation batches.

    Attributes:
        count: number of training examples.
        load: function of index and random generator that loads a training example.
        validation: validation batches.
        groups: numbers of examples of groups that are visited one after the other; none is one group of all.
    """

    count: int
    load: Callable[[int, np.random.Generator], Example]
    validation: Sequence[Batch] = field(default_factory=tuple)
    groups: Sequence[int] = ()


def fit(
    module: lightning.LightningModule,
    data: TrainingData,
    stage: StageConfig,
    folder: Path,
    config: TrainerConfig,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> None:
    """Train a module for the steps of its stage, or resume from the folder's checkpoint.

    Args:
        module: module to train on batches of ``StepSampler``.
        data: training examples and validation batches.
        stage: steps, batch, precision, validation.
        folder: folder of checkpoint and TensorBoard files.
        config: devices, processes and checkpoints.
        seed: seed of the order of the examples.
        callbacks: Lightning callbacks.

    Raises:
        F2VError: the checkpoint cannot be read, or the devices are not there.
        KeyboardInterrupt: Ctrl-C; the last checkpoint is kept.
    """
    checkpoint = folder / CHECKPOINT
    first = trained_steps(checkpoint)
    if first >= stage.steps:
        return
    trainer = _build_trainer(module, len(data.validation), stage, folder, config, callbacks)
    sampler = StepSampler(
        data.load,
        count=data.count,
        batch=stage.batch * trainer.world_size,
        steps=stage.steps,
        seed=seed,
        first=first,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        groups=data.groups,
    )
    loader = build_loader(sampler, config.workers, pin=trainer.strategy.root_device.type == "cuda")
    resumed = checkpoint if first else None
    try:
        trainer.fit(module, loader, _as_loader(data.validation), ckpt_path=resumed, weights_only=True)
    except SystemExit as error:  # Lightning turns Ctrl-C into SystemExit
        if trainer.interrupted:
            raise KeyboardInterrupt from error
        raise


def _build_trainer(
    module: lightning.LightningModule,
    validation: int,
    stage: StageConfig,
    folder: Path,
    config: TrainerConfig,
    callbacks: Sequence[Any],
) -> lightning.Trainer:
    import lightning
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.callbacks import LambdaCallback
    from lightning.pytorch.loggers import TensorBoardLogger

    def save(trainer: lightning.Trainer, _module: Any, _outputs: Any, batch: Batch, _index: int) -> None:
        done = int(batch["step"]) + 1
        if done % config.save_every == 0 or done == stage.steps:
            _save(trainer, folder / CHECKPOINT)

    silence_lightning()
    try:
        return lightning.Trainer(
            accelerator=config.accelerator,
            devices=int(config.devices) if config.devices.isdigit() else config.devices,
            num_nodes=config.nodes,
            strategy=config.strategy,
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
            enable_progress_bar=config.progress,
            enable_model_summary=False,
            log_every_n_steps=50,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise F2VError(
            f"Lightning cannot train with these options on this machine: {error}",
            "check --accelerator, --devices, --nodes and --strategy",
        ) from error


def _save(trainer: lightning.Trainer, path: Path) -> None:
    """Write a checkpoint whole or not at all; Lightning's own atomic save passes through another file system."""
    part = path.with_name(f".{path.name}.part")
    trainer.save_checkpoint(part)
    if trainer.is_global_zero:
        part.replace(path)


def _as_loader(batches: Sequence[Batch]) -> DataLoader[Batch] | None:
    from torch.utils.data import DataLoader, Dataset

    return DataLoader(cast("Dataset[Batch]", list(batches)), batch_size=None) if batches else None


def require_lightning() -> None:
    """Check that the packages for training are installed.

    Raises:
        F2VError: a package is missing.
    """
    missing = [name for name in ("lightning", "tensorboard") if find_spec(name) is None]
    if missing:
        raise F2VError(f"training needs {' and '.join(missing)}", "install them with: pip install 'f2v-bench[train]'")


def trained_steps(checkpoint: Path) -> int:
    """Return the steps of a checkpoint of ``fit``; 0 without one.

    Raises:
        F2VError: the file cannot be read.
    """
    if not checkpoint.is_file():
        return 0
    from f2v_bench.nn.checkpoints.torch import read_checkpoint

    content = read_checkpoint(checkpoint, f"remove '{checkpoint}' to start again", with_settings=True)
    progress = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
    return int(progress["processed"])


def silence_lightning() -> None:
    """Silence Lightning's messages that do not apply here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for text in (
        ".*does not have many workers.*",
        ".*IterableDataset.*",
        ".*isinstance.treespec.*",
        ".*LeafSpec.*",
        ".*in eval mode at the start of training.*",  # the weight average
        ".*but have no `val_dataloader`.*",
    ):
        warnings.filterwarnings("ignore", text)
