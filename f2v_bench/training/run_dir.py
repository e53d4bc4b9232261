"""Directory of a training in stages: settings, checkpoints, and stages shared from another directory.

<folder>/settings.yaml                 all settings
<folder>/<stage>/last.ckpt             checkpoint to resume from; <folder>/<stage>/tensorboard beside it
<folder>/stages.json                   steps and seconds of each stage

Lip encoder and vocoder do not depend on the model: they can be taken from the directory of another training, the base.
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
_MUTABLE = ("steps", "validate_every", "validate_clips")  # settings of a stage that may change between two starts

_PARTS = {"main": "model", "audio": "model"}  # prefix of a stage's tensors in weight files, where it is another name


class TrainingDir:
    """Directory of one training.

    Args:
        path: path of the directory; ``lock_settings`` creates it.
        stages: stages of the model, in their order.
        config: settings of all stages.
        base: directory of another training, used for shared stages that this one has not trained itself.
        renamed_keys: patterns and replacements of the model's tensor names in earlier checkpoints.
    """

    def __init__(
        self,
        path: Path,
        stages: Sequence[str],
        config: SharedConfig,
        base: Path | None,
        renamed_keys: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.path = path
        self._renamed_keys = (*LAYER_KEYS, *renamed_keys)
        self._stages = stages
        self._config = config
        self._base = base
        self._base_steps: dict[str, int] = {}

    def lock_settings(self, seed: int, trained_on: str) -> None:
        """Write the settings, or check that those of the directory are equal; a stage's length may differ.

        Args:
            seed: seed of the training.
            trained_on: id of the list of training clips.

        Raises:
            F2VError: the directory, or the base, holds a training with other settings.
        """
        path = self.path / "settings.yaml"
        ours = as_mapping(self._config) | {"seed": seed, "trained_on": trained_on}
        if path.is_file():
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
            data = {name: before.pop(name, None) for name in ("seed", "trained_on")}
            # settings added after this training started have their defaults in it
            now, before = _immutable(ours), _immutable(as_mapping(from_mapping(type(self._config), before)) | data)
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
        """Return the steps of the base's stages; refuse a base of other sizes."""
        path = base / "settings.yaml"
        if not path.is_file():
            raise F2VError(
                f"--from '{base}' is not the directory of a training: it has no settings.yaml",
                "give a directory that a training has written",
            )
        theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in ("lips", "units", *(("vocoder",) if "vocoder" in self._stages else ())):
            found = as_mapping(from_mapping(type(getattr(self._config, name)), theirs.get(name, {})))
            if found != ours[name]:
                raise F2VError(
                    f"--from '{base}' was trained with other settings under '{name}': {found!r}, not {ours[name]!r}",
                    "use a base with the same settings, or train every stage here",
                )
        return {stage: int(theirs[f"{stage}_stage"]["steps"]) for stage in SHARED}

    def stage_dir(self, stage: str) -> Path:
        """Return the directory whose checkpoint counts: the base, for a shared stage that is not trained here."""
        base = self._base
        if base is None or stage not in SHARED or (self.path / stage / CHECKPOINT).is_file():
            return self.path
        return base if (base / stage / CHECKPOINT).is_file() else self.path

    def steps(self, stage: str) -> int:
        """Return the steps of the finished stage: those of the base's settings where its checkpoint is used."""
        if self.stage_dir(stage) != self.path:
            return self._base_steps[stage]
        steps: int = getattr(self._config, f"{stage}_stage").steps
        return steps

    def is_complete(self, stage: str) -> bool:
        """Return True if the stage has all its steps."""
        return trained_steps(self._checkpoint_file(stage)) >= self.steps(stage)

    def require_complete(self, stage: str) -> None:
        """Check that a stage is complete.

        Raises:
            F2VError: the stage has steps left.
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
        """Read the last checkpoint of a stage."""
        path = self._checkpoint_file(stage)
        return read_checkpoint(path, f"remove '{path.parent}' and train the stage again", with_settings=True)

    def statistics(self, stage: str) -> dict[str, tuple[float, float]]:
        """Return the means and deviations of the training corpus from the last checkpoint of a stage."""
        parameters = self.checkpoint(stage)["hyper_parameters"]
        earlier = "standard"  # name of the field before it was renamed
        statistics: dict[str, tuple[float, float]] = parameters["statistics" if "statistics" in parameters else earlier]
        return statistics

    def ema_state(self, stage: str, prefix: str = "ema.average.") -> dict[str, torch.Tensor]:
        """Return the tensors of a stage's checkpoint whose names have a prefix, without it; by default the average."""
        state = self.checkpoint(stage)["state_dict"]
        average = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
        return rename_part(average, _PARTS.get(stage, stage), self._renamed_keys)

    def local_steps(self, stage: str) -> int:
        """Return the steps of the stage that were trained in this directory."""
        return trained_steps(self.path / stage / CHECKPOINT)

    def record(self, stage: str, seconds: float) -> None:
        """Add the seconds of a run of a stage to its record, and note its steps."""
        path = self.path / "stages.json"
        records = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        before = records.get(stage, {"seconds": 0.0})["seconds"]
        records[stage] = {"steps": self.local_steps(stage), "seconds": round(before + seconds, 1)}
        atomic_write(path, json.dumps(records, indent=2) + "\n")

    def records(self) -> dict[str, dict[str, float]]:
        """Return steps and seconds of each stage, the base's where its checkpoint is used."""
        records: dict[str, dict[str, float]] = {}
        for stage in self._stages:
            path = self.stage_dir(stage) / "stages.json"
            found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            records |= {stage: found[stage]} if stage in found else {}
        return records


def rename_part(
    state: Mapping[str, torch.Tensor], part: str, renamed_keys: Sequence[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    """Rename the tensors of one part of a weight file.

    Args:
        state: tensors by name, without the part's prefix.
        part: prefix of the part in weight files, without the dot.
        renamed_keys: patterns and replacements of names with the prefix.
    """
    prefix = f"{part}."
    renamed = rename_keys({prefix + name: tensor for name, tensor in state.items()}, renamed_keys)
    return {name.removeprefix(prefix): tensor for name, tensor in renamed.items()}


def _immutable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a training must keep from its first start to its last."""
    return {
        name: {key: one for key, one in value.items() if key not in _MUTABLE} if name.endswith("_stage") else value
        for name, value in settings.items()
    }
