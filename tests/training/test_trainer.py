from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import LipEncoderTrainingConfig, StageConfig, UnitConfig
from f2v_bench.training import trainer as trainer_module
from f2v_bench.training.data.loader import iter_batches
from f2v_bench.training.lip_encoder import LipEncoderModule
from f2v_bench.training.trainer import CHECKPOINT, TrainerConfig, TrainingData, fit, require_lightning, trained_steps
from tests.training.toys import ENCODER, UNIT_COUNT, toy_example

STAGE = StageConfig(steps=7, batch=2, warmup=2, precision="32-true", validate_every=2)
CPU = TrainerConfig(accelerator="cpu", save_every=3, progress=False)
DATA = TrainingData(5, toy_example, list(iter_batches(toy_example, 3, 2)))


class Interrupt(lightning.Callback):
    """Raise an error before a step."""

    def __init__(self, step: int, error: BaseException) -> None:
        self.step, self.error = step, error

    def on_train_batch_start(self, _trainer: Any, _module: Any, batch: Any, _index: int) -> None:
        if int(batch["step"]) == self.step:
            raise self.error


class Validations(lightning.Callback):
    """Record the steps at which validation runs."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_validation_end(self, trainer: lightning.Trainer, _module: Any) -> None:
        self.steps.append(trainer.global_step)


def trained(
    folder: Path,
    stage: StageConfig = STAGE,
    config: TrainerConfig = CPU,
    callbacks: Sequence[Any] = (),
    seed: int = 0,
) -> LipEncoderModule:
    """Train a small module; the seed decides its initial weights alone."""
    torch.manual_seed(seed)
    module = LipEncoderModule(ENCODER, UnitConfig(count=UNIT_COUNT), LipEncoderTrainingConfig(), stage)
    fit(module, DATA, stage, folder, config, 0, callbacks)
    return module


def assert_equal_state(one: torch.nn.Module, other: torch.nn.Module) -> None:
    """Compare network, average and buffers bit by bit."""
    theirs = other.state_dict()
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], atol=0, rtol=0, msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LipEncoderModule:
    """Train without interruption."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("save_every", "interrupted", "kept"),
    [(3, 5, 3), (3, 6, 6), (2, 5, 4), (4, 4, 4), (4, 2, 0)],
    ids=["between", "at", "after validation", "at validation", "before any"],
)
def test_a_resumed_training_has_equal_weights(
    whole: LipEncoderModule, tmp_path: Path, save_every: int, interrupted: int, kept: int
) -> None:
    config = replace(CPU, save_every=save_every)
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path, config=config, callbacks=[Interrupt(interrupted, RuntimeError("killed"))])
    assert trained_steps(tmp_path / CHECKPOINT) == kept
    resumed = trained(tmp_path, config=config, seed=1 if kept else 0)  # other initial weights, which resuming replaces
    assert resumed.global_step == 7
    assert int(resumed.ema.updates) == 7
    assert_equal_state(resumed, whole)
    assert trained_steps(tmp_path / CHECKPOINT) == 7


def test_earlier_parameter_names_of_layers_are_resumed(whole: LipEncoderModule, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path, callbacks=[Interrupt(5, RuntimeError("killed"))])
    checkpoint = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    state = checkpoint["state_dict"]
    earlier = {re.sub(r"\.mask_embedding$", ".hidden", name): tensor for name, tensor in state.items()}
    assert earlier.keys() != state.keys()
    torch.save(checkpoint | {"state_dict": earlier}, tmp_path / CHECKPOINT)
    assert_equal_state(trained(tmp_path, seed=1), whole)


def test_a_training_can_be_resumed_repeatedly(whole: LipEncoderModule, tmp_path: Path) -> None:
    config = replace(CPU, save_every=1)
    for step in (2, 3, 6):
        with pytest.raises(RuntimeError):
            trained(tmp_path, config=config, callbacks=[Interrupt(step, RuntimeError())])
        assert trained_steps(tmp_path / CHECKPOINT) == step
    assert_equal_state(trained(tmp_path, config=config, seed=1), whole)


def test_ctrl_c_raises_keyboard_interrupt(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, callbacks=[Interrupt(4, KeyboardInterrupt())])
    assert signal.getsignal(signal.SIGINT) == before
    assert trained_steps(tmp_path / CHECKPOINT) == 3


def test_the_last_step_is_saved_whatever_the_interval(whole: LipEncoderModule, tmp_path: Path) -> None:
    trained(tmp_path, config=replace(CPU, save_every=500))
    assert trained_steps(tmp_path / CHECKPOINT) == 7
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "tensorboard"}
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)["state_dict"]
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=0, rtol=0, msg=name)


def test_a_finished_stage_is_unchanged_and_can_be_extended(tmp_path: Path) -> None:
    trained(tmp_path)
    written = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    untouched = trained(tmp_path)
    assert int(untouched.ema.updates) == 0
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == written
    longer = trained(tmp_path, replace(STAGE, steps=9))
    assert int(longer.ema.updates) == longer.global_step == trained_steps(tmp_path / CHECKPOINT) == 9


def test_validation_runs_at_its_interval(tmp_path: Path) -> None:
    validations = Validations()
    trained(tmp_path, callbacks=[validations])
    assert validations.steps == [2, 4, 6]


def test_without_validation_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "DATA", replace(DATA, validation=()))
    validations = Validations()
    assert trained(tmp_path, callbacks=[validations]).global_step == 7
    assert validations.steps == []


@pytest.mark.slow
def test_worker_processes_change_nothing(whole: LipEncoderModule, tmp_path: Path) -> None:
    assert_equal_state(trained(tmp_path, config=replace(CPU, workers=2)), whole)


def test_a_checkpoint_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is killed while it writes keeps the previous checkpoint."""
    write: Callable[..., None] = lightning.Trainer.save_checkpoint

    def cut_short(self: lightning.Trainer, path: Path, *args: Any, **kwargs: Any) -> None:
        write(self, path, *args, **kwargs)
        if self.global_step == 6:
            Path(path).write_bytes(Path(path).read_bytes()[:1000])
            raise RuntimeError("killed")

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", cut_short)
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path)
    assert trained_steps(tmp_path / CHECKPOINT) == 3


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 but no")
    with pytest.raises(F2VError, match="cannot be read"):
        trained(tmp_path)
    assert trained_steps(tmp_path / "none.ckpt") == 0


@pytest.mark.parametrize(
    "changes",
    [{"accelerator": "abacus"}, {"devices": "few"}, {"strategy": "guess"}],
    ids=["accelerator", "devices", "strategy"],
)
def test_missing_devices_are_an_error(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(F2VError, match="Lightning cannot train with these options"):
        trained(tmp_path, config=replace(CPU, **changes))  # type: ignore[arg-type]


def test_missing_packages_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require_lightning()
    monkeypatch.setattr(trainer_module, "find_spec", lambda name: None if name == "tensorboard" else name)
    with pytest.raises(F2VError, match="training needs tensorboard"):
        require_lightning()
