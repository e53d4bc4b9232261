"""The folder of a training in stages: its settings, checkpoints, and what it borrows from another's.

<folder>/settings.yaml                 all of them
<folder>/<stage>/last.ckpt             to go on from; <folder>/<stage>/tensorboard beside it
<folder>/stages.json                   steps and seconds of each stage

Lip encoder and vocoder are the same whatever the model is: another training's folder, the base, can lend them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from f2v_bench.config import as_mapping, from_mapping
from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.nn.checkpoints.torch import read_checkpoint
from f2v_bench.training.trainer import CHECKPOINT, trained_steps
from f2v_bench.utils.paths import atomic_write

if TYPE_CHECKING:
    import torch

SHARED = ("lips", "vocoder")  # stages that do not depend on the model
_FREE = ("steps", "validate_every", "validate_clips")  # of a stage: what may change between two starts


class TrainingDir:
    """What is trained, and where it lies.

    Args:
        path: of the folder; ``claim`` makes it.
        stages: of the model, in their order.
        config: settings of all of them.
        base: folder of another training that lends the shared stages which this one has not trained itself.
    """

    def __init__(self, path: Path, stages: Sequence[str], config: SharedConfig, base: Path | None) -> None:
        self.path = path
        self._stages = stages
        self._config = config
        self._base = base
        self._base_steps: dict[str, int] = {}

    def lock_settings(self, seed: int, trained_on: str) -> None:
        """Write the settings, or check that the folder's are the same but for a stage's length and validation.

        Args:
            seed: of the training.
            trained_on: id of the list of clips.

        Raises:
            F2VError: the folder, or the base, holds a training with other settings.
        """
        path = self.path / "settings.yaml"
        ours = as_mapping(self._config) | {"seed": seed, "trained_on": trained_on}
        if path.is_file():
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
            noted = {name: before.pop(name, None) for name in ("seed", "trained_on")}
            # settings that came after this training began have their defaults in it
            now, before = _fixed(ours), _fixed(as_mapping(from_mapping(type(self._config), before)) | noted)
            for name in sorted(set(now) | set(before)):
                if now.get(name) != before.get(name):
                    raise F2VError(
                        f"'{self.path}' holds a training with other settings under '{name}': "
                        f"{before.get(name)!r}, not {now.get(name)!r}",
                        "use another folder with --out, or the same settings",
                    )
        if self._base is not None:
            self._base_steps = self._check_base(self._base, ours)
        self.path.mkdir(parents=True, exist_ok=True)
        atomic_write(path, yaml.safe_dump(ours, sort_keys=False))

    def _check_base(self, base: Path, ours: Mapping[str, Any]) -> dict[str, int]:
        """Steps of the base's stages, which are refused where they are of other sizes."""
        path = base / "settings.yaml"
        if not path.is_file():
            raise F2VError(f"--from '{base}' holds no training", "name the folder of one, with its settings.yaml")
        theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in ("lips", "units", *(("vocoder",) if "vocoder" in self._stages else ())):
            if theirs.get(name) != ours[name]:
                raise F2VError(
                    f"--from '{base}' was trained with other settings under '{name}': "
                    f"{theirs.get(name)!r}, not {ours[name]!r}",
                    "use a base of the same settings, or train every stage anew",
                )
        return {stage: int(theirs[f"{stage}_stage"]["steps"]) for stage in SHARED}

    def stage_dir(self, stage: str) -> Path:
        """The folder whose checkpoint counts: the base, where a stage can be shared and this training has none."""
        base = self._base
        if base is None or stage not in SHARED or (self.path / stage / CHECKPOINT).is_file():
            return self.path
        return base if (base / stage / CHECKPOINT).is_file() else self.path

    def steps(self, stage: str) -> int:
        """Steps of the finished stage: as the base's settings say where its checkpoint is used."""
        if self.stage_dir(stage) != self.path:
            return self._base_steps[stage]
        steps: int = getattr(self._config, f"{stage}_stage").steps
        return steps

    def is_complete(self, stage: str) -> bool:
        """Whether the stage has all its steps."""
        return trained_steps(self._checkpoint_file(stage)) >= self.steps(stage)

    def require_complete(self, stage: str) -> None:
        """Refuse to go on where a stage is not done.

        Raises:
            F2VError: how far it is, and what to do.
        """
        if not self.is_complete(stage):
            done = trained_steps(self._checkpoint_file(stage))
            raise F2VError(
                f"the stage '{stage}' in '{self.stage_dir(stage)}' has {done} of {self.steps(stage)} steps",
                f"train it first: --stage {stage}, or every stage in turn without --stage",
            )

    def _checkpoint_file(self, stage: str) -> Path:
        return self.stage_dir(stage) / stage / CHECKPOINT

    def checkpoint(self, stage: str) -> dict[str, Any]:
        """What a stage's training has written last."""
        path = self._checkpoint_file(stage)
        return read_checkpoint(path, f"remove '{path.parent}' and train the stage anew", with_settings=True)

    def ema_state(self, stage: str, prefix: str = "ema.average.") -> dict[str, torch.Tensor]:
        """The averaged weights of a stage, or others of its checkpoint, their names without the prefix."""
        state = self.checkpoint(stage)["state_dict"]
        average = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
        return rename_keys(average, LAYER_KEYS)

    def local_steps(self, stage: str) -> int:
        """Steps of the stage that were trained in this very folder."""
        return trained_steps(self.path / stage / CHECKPOINT)

    def record(self, stage: str, seconds: float) -> None:
        """Add to what a stage took."""
        path = self.path / "stages.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        before = known.get(stage, {"seconds": 0.0})["seconds"]
        known[stage] = {"steps": self.local_steps(stage), "seconds": round(before + seconds, 1)}
        atomic_write(path, json.dumps(known, indent=2) + "\n")

    def records(self) -> dict[str, dict[str, float]]:
        """Steps and seconds of each stage, the base's where its checkpoint is used."""
        known: dict[str, dict[str, float]] = {}
        for stage in self._stages:
            notes = self.stage_dir(stage) / "stages.json"
            noted = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
            known |= {stage: noted[stage]} if stage in noted else {}
        return known


def _fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a training must keep from its first start to its last."""
    return {
        name: {key: one for key, one in value.items() if key not in _FREE} if name.endswith("_stage") else value
        for name, value in settings.items()
    }
