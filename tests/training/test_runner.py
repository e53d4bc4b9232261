from __future__ import annotations

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
from f2v_bench.training import trainer as runner
from f2v_bench.training.data.loader import iter_batches
from f2v_bench.training.lip_encoder import LipEncoderModule
from f2v_bench.training.trainer import CHECKPOINT, TrainerConfig, TrainingData, fit, require_lightning, trained_steps
from tests.training.toys import ENCODER, UNIT_COUNT, toy_item

STAGE = StageConfig(steps=7, batch=2, warmup=2, precision="32-true", validate_every=2)
HERE = TrainerConfig(accelerator="cpu", save_every=3, progress=False)
SOURCE = TrainingData(5, toy_item, list(iter_batches(toy_item, 3, 2)))


class Interrupt(lightning.Callback):
    """Ctrl-C, or what else may come, before a step."""

    def __init__(self, step: int, error: BaseException) -> None:
        self.step, self.error = step, error

    def on_train_batch_start(self, _trainer: Any, _module: Any, batch: Any, _index: int) -> None:
        if int(batch["step"]) == self.step:
            raise self.error


class Validations(lightning.Callback):
    """After how many steps validation ran."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_validation_end(self, trainer: lightning.Trainer, _module: Any) -> None:
        self.steps.append(trainer.global_step)


def trained(
    folder: Path,
    stage: StageConfig = STAGE,
    hardware: TrainerConfig = HERE,
    callbacks: Sequence[Any] = (),
    seed: int = 0,
) -> LipEncoderModule:
    """A toy after ``fit``; the seed is of its first weights alone."""
    torch.manual_seed(seed)
    module = LipEncoderModule(ENCODER, UnitConfig(count=UNIT_COUNT), LipEncoderTrainingConfig(), stage)
    fit(module, SOURCE, stage, folder, hardware, 0, callbacks)
    return module


def same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    """Bitwise, the network, its average and their buffers."""
    theirs = other.state_dict()
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], atol=0, rtol=0, msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LipEncoderModule:
    """Trained without interruption."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("save_every", "interrupted", "kept"),
    [(3, 5, 3), (3, 6, 6), (2, 5, 4), (4, 4, 4), (4, 2, 0)],
    ids=["between", "at", "after validation", "at validation", "before any"],
)
def test_a_killed_training_goes_on_to_the_same_weights(
    whole: LipEncoderModule, tmp_path: Path, save_every: int, interrupted: int, kept: int
) -> None:
    hardware = replace(HERE, save_every=save_every)
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path, hardware=hardware, callbacks=[Interrupt(interrupted, RuntimeError("killed"))])
    assert trained_steps(tmp_path / CHECKPOINT) == kept
    resumed = trained(tmp_path, hardware=hardware, seed=1 if kept else 0)  # other weights, all to be replaced
    assert resumed.global_step == 7
    assert int(resumed.ema.updates) == 7
    same(resumed, whole)
    assert trained_steps(tmp_path / CHECKPOINT) == 7


def test_it_can_be_killed_again_and_again(whole: LipEncoderModule, tmp_path: Path) -> None:
    hardware = replace(HERE, save_every=1)
    for step in (2, 3, 6):
        with pytest.raises(RuntimeError):
            trained(tmp_path, hardware=hardware, callbacks=[Interrupt(step, RuntimeError())])
        assert trained_steps(tmp_path / CHECKPOINT) == step
    same(trained(tmp_path, hardware=hardware, seed=1), whole)


def test_ctrl_c_is_ctrl_c(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, callbacks=[Interrupt(4, KeyboardInterrupt())])
    assert signal.getsignal(signal.SIGINT) == before
    assert trained_steps(tmp_path / CHECKPOINT) == 3


def test_the_last_step_is_kept_whatever_the_interval(whole: LipEncoderModule, tmp_path: Path) -> None:
    trained(tmp_path, hardware=replace(HERE, save_every=500))
    assert trained_steps(tmp_path / CHECKPOINT) == 7
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "tensorboard"}
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)["state_dict"]
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=0, rtol=0, msg=name)


def test_a_finished_stage_is_left_as_it_is_and_can_be_made_longer(tmp_path: Path) -> None:
    trained(tmp_path)
    written = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    untouched = trained(tmp_path)
    assert int(untouched.ema.updates) == 0
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == written
    longer = trained(tmp_path, replace(STAGE, steps=9))
    assert int(longer.ema.updates) == longer.global_step == trained_steps(tmp_path / CHECKPOINT) == 9


def test_validation_comes_as_often_as_said(tmp_path: Path) -> None:
    watched = Validations()
    trained(tmp_path, callbacks=[watched])
    assert watched.steps == [2, 4, 6]


def test_without_validation_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SOURCE", replace(SOURCE, validation=()))
    watched = Validations()
    assert trained(tmp_path, callbacks=[watched]).global_step == 7
    assert watched.steps == []


@pytest.mark.slow
def test_loading_processes_change_nothing(whole: LipEncoderModule, tmp_path: Path) -> None:
    same(trained(tmp_path, hardware=replace(HERE, workers=2)), whole)


def test_a_checkpoint_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it writes, a training has the checkpoint before."""
    write: Callable[..., None] = lightning.Trainer.save_checkpoint

    def cut_short(self: lightning.Trainer, path: Path, *arguments: Any, **named: Any) -> None:
        write(self, path, *arguments, **named)
        if self.global_step == 6:
            Path(path).write_bytes(Path(path).read_bytes()[:1000])
            raise RuntimeError("killed")

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", cut_short)
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path)
    assert trained_steps(tmp_path / CHECKPOINT) == 3


def test_a_checkpoint_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 but no")
    with pytest.raises(F2VError, match="cannot be read"):
        trained(tmp_path)
    assert trained_steps(tmp_path / "none.ckpt") == 0


@pytest.mark.parametrize(
    "changes",
    [{"accelerator": "abacus"}, {"devices": "few"}, {"strategy": "guess"}],
    ids=["accelerator", "devices", "strategy"],
)
def test_hardware_that_is_not_there(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(F2VError, match="Lightning cannot train so"):
        trained(tmp_path, hardware=replace(HERE, **changes))  # type: ignore[arg-type]


def test_packages_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    require_lightning()
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "tensorboard" else name)
    with pytest.raises(F2VError, match="training needs tensorboard"):
        require_lightning()
