"""A corpus of noise, sizes and options for trainings of any model in three stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
import yaml

from f2v_bench.clip import Clip
from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import StageConfig, UnitConfig
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.nn.checkpoints.torch import read_checkpoint
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import FaceSystem, System, SystemOptions
from f2v_bench.training import staged_experiment as module
from f2v_bench.training.experiment import TrainOptions
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import StagedExperiment
from f2v_bench.training.trainer import CHECKPOINT, TrainerConfig
from tests.reference_model.small import crops_of
from tests.training.toys import toy_prepared

STAGE = StageConfig(steps=4, batch=2, warmup=2, precision="32-true", validate_every=2, validate_clips=2)
LIPS = LipEncoderConfig(field=64, size=16, channels=(4, 4, 4, 4), width=8, layers=1, heads=2, kernel=3)
UNITS = UnitConfig(count=10)
VOCODER = VocoderConfig(
    generator="istft", width=8, blocks=1, hidden=8, n_fft=320, adversarial_from=-1, spectral_sizes=(320,)
)
#: what every model's settings share, small enough for tests
GROUND: dict[str, Any] = {
    "lips": LIPS, "units": UNITS, "vocoder": VOCODER,
    "lips_stage": STAGE, "vocoder_stage": STAGE, "main_stage": STAGE,
}  # fmt: skip
TRAINING, VALIDATION = (
    [Clip(f"{name}-{who}/0", f"{name}-{who}", Path(name), Path(name), None, name) for who in "ab"]
    for name in ("train", "val")
)
HERE = TrainerConfig(accelerator="cpu", save_every=2, progress=False)


class FakeSpeechMetrics(lightning.Callback):
    """Fake of the metrics, which would need speech."""

    def __init__(self, synthesize: Callable[[int], Any], real: Sequence[Any], *_: object) -> None:
        self.synthesize, self.real = synthesize, real

    def on_validation_end(self, *_: object) -> None:
        made = self.synthesize(0)
        assert made.shape == self.real[0].shape
        assert np.isfinite(made).all()


@contextmanager
def noise_corpus(folder: Path) -> Iterator[None]:
    """Fake a corpus by clips of noise, which need no cropping and no measuring."""
    made = {}
    for name, frames in (("train", [14, 10, 12, 9, 11]), ("val", [10, 8])):
        (folder / name).mkdir()
        toys = toy_prepared(folder / name, frames)
        files = [
            file.rename(file.with_stem(f"{name}-{file.stem}")) for file in toys.files
        ]  # as one of a kind as hashes
        made[name] = replace(toys, files=tuple(files))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "prepare", lambda clips, *_: made[clips[0].split])
        patch.setattr(module, "SpeechMetricsCallback", FakeSpeechMetrics)
        yield


def train_options(folder: Path, config: Any, **named: Any) -> TrainOptions:
    """Return the options of a training with all settings in a file, except the ablation."""
    file = folder.with_suffix(".yaml")
    settings = as_mapping(config)
    settings.pop("ablate", None)
    file.write_text(yaml.safe_dump(settings))
    options: dict[str, Any] = {
        "dataset": "demo", "list_id": "demo/train", "clips": TRAINING, "validation": VALIDATION,
        "settings_file": file, "hardware": HERE,
    }  # fmt: skip
    return TrainOptions(folder=folder, **options | named)


def state(folder: Path, stage: str = "main") -> Mapping[str, torch.Tensor]:
    """Return the weights of a stage's checkpoint."""
    found: Mapping[str, torch.Tensor] = read_checkpoint(folder / stage / CHECKPOINT, "", with_settings=True)[
        "state_dict"
    ]
    return found


def same_state(folder: Path, other: Path, stage: str = "main") -> bool:
    """Return True for two trainings whose checkpoints hold the same weights."""
    wanted, found = state(folder, stage), state(other, stage)
    return wanted.keys() == found.keys() and all(torch.equal(found[name], one) for name, one in wanted.items())


@contextmanager
def power_cut(at: int, kind: type[Any] = ModelModule) -> Iterator[None]:
    """Kill the main stage in a step, or the stage of another kind of module."""
    step = kind.training_step

    def killed(self: Any, batch: Any, index: int) -> Any:
        if int(batch["step"]) == at:
            raise RuntimeError("power cut")
        return step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "training_step", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            yield


def refuse(*_: object, **__: object) -> None:
    """Fail in place of a function that must not be called again."""
    raise AssertionError("nothing was left to be trained")


def trained(training: StagedExperiment) -> Path:
    """Run a training from the first stage to the last and return its folder."""
    for stage in training.stages:
        training.train(stage)
    assert training.export() == training.folder / "weights.safetensors"
    return training.folder


def assert_batch_equals_single(synthesizer: Synthesizer, *, with_voices: bool = True, near: float = 2e-3) -> None:
    """Compare three clips of different lengths in a batch with each by itself, with given voices or without."""
    crops = [crops_of(frames, frames) for frames in (9, 4, 1)]
    voices = list(np.eye(256, dtype=np.float32)[:3]) if with_voices else None
    together = synthesizer.synthesize(crops, [np.random.default_rng(at) for at in range(3)], voices)
    for at, made in enumerate(together):
        own = None if voices is None else [voices[at]]
        (alone,) = synthesizer.synthesize([crops[at]], [np.random.default_rng(at)], own)
        assert made.shape == (640 * len(crops[at].lips),)
        np.testing.assert_allclose(made, alone, atol=near)


def open_voiced_system(name: str, weights: Path) -> System:
    """Open a system that takes the voice from real speech alone, and check that it refuses other sources."""
    system: FaceSystem = SYSTEMS.load(name)(SystemOptions(weights=str(weights)))
    assert system.speaker_reference == "same-clip"
    with pytest.raises(F2VError, match="takes the voice from real speech") as error:
        system.synthesize_crops([crops_of(5)], ["somebody"], 0)
    assert "--speaker-reference" in error.value.do
    with pytest.raises(F2VError, match="cannot take the voice from 'face'"):
        SYSTEMS.load(name)(SystemOptions(weights=str(weights), speaker_reference="face"))
    return system
