"""Weight files: lip encoder, model, vocoder, settings and the facts of the model card in one safetensors file.

Models of a corpus that use the same lip encoder and vocoder need not each hold them: a packaged file may leave both to
shared weights, which are a file of their own and are named with their SHA-256.

The header's metadata has one entry, ``f2v_bench``, since safetensors writes several in any order and equal files would
differ. Files of format 1 (entry named after the model, earlier names of tensors and settings) are read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from f2v_bench.assets import file_sha256, model_weights, shared_weights
from f2v_bench.config import as_mapping, from_mapping
from f2v_bench.errors import F2VError, suggest
from f2v_bench.modeling.spec import LIPS, MODEL, VOCODER, ModelSpec
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.vocoders.build import build_vocoder
from f2v_bench.signal.griffin_lim import NAME as GRIFFIN_LIM
from f2v_bench.utils.paths import atomic_path

if TYPE_CHECKING:
    from f2v_bench.modeling.base import Model, Statistics
    from f2v_bench.modeling.shared_config import SharedConfig
    from f2v_bench.nn.vocoders.base import Vocoder

M = TypeVar("M", bound=nn.Module)
#: raised when the files of earlier versions can no longer be read as they are
FORMAT = 2
METADATA_KEY = "f2v_bench"
_SHARED = (LIPS, VOCODER)


@dataclass(frozen=True, slots=True)
class TrainingInfo:
    """Facts of a training for tables and model cards.

    Attributes:
        name: name of the weights.
        dataset: name of the training corpus.
        list_id: list id of the training clips.
        clips: number of training clips.
        hours: hours of speech in them.
        stages: steps and seconds by stage.
        hardware: machine in words.
        seed: seed of the training.
        license: terms of the weights.
    """

    name: str
    dataset: str
    list_id: str
    clips: int
    hours: float
    stages: Mapping[str, Mapping[str, float]]
    hardware: str
    seed: int
    license: str

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Build it from a file's header; format 1 wrote ``licence``."""
        return cls(**{"license" if name == "licence" else name: value for name, value in mapping.items()})

    def __str__(self) -> str:
        return f"weights {self.name}: trained by f2v-bench on {self.clips} clips ({self.hours:.1f} h) of {self.list_id}"


class ModelCheckpoint:
    """Weight file of a model; its parts are read when they are asked for.

    Args:
        spec: declaration of the model.
        path: weight file.

    Raises:
        F2VError: no such file, not one of this model, or its shared weights are not installed.
    """

    def __init__(self, spec: ModelSpec, path: Path) -> None:
        self.spec, self.path = spec, path
        try:
            with safe_open(path, "pt") as file:
                head = read_head(spec, file.metadata() or {})
            self.format = int(head["format"])
            if self.format > FORMAT:
                raise F2VError(
                    f"'{path}' has format {self.format}, this version reads 1 to {FORMAT}", "install a newer f2v-bench"
                )
            self.config: SharedConfig = from_mapping(spec.config_class, head["config"])
            self.statistics: dict[str, tuple[float, float]] = {
                name: (float(mean), float(deviation)) for name, (mean, deviation) in head["statistics"].items()
            }
            self.facts = TrainingInfo.from_mapping(head["facts"])
            base = head.get("base")
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise F2VError(f"'{path}' is no weight file of {spec.title}: {error}", _hint(spec)) from error
        self.base = _find_base(path, base["name"], base["sha256"]) if base else None

    @property
    def ablation(self) -> str:
        """Part of the model that is left out, or ``none``."""
        return self.spec.ablation(self.config)

    @property
    def nfe(self) -> int | None:
        """Decoder evaluations per clip with the file's own sampling; None for an adaptive solver."""
        return self.spec.nfe(self.config)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, which includes that of its shared weights."""
        return file_sha256(self.path)

    @property
    def uses_lip_encoder(self) -> bool:
        """True for a model on features of the frozen lip encoder."""
        return self.config.uses_lip_encoder

    def lip_encoder(self) -> FrozenLipEncoder:
        """Load the frozen lip encoder."""
        return FrozenLipEncoder(self.config.lips, self._part(LIPS) or None)

    def model(self) -> Model[Any]:
        """Load the model for synthesis.

        Raises:
            F2VError: weights of another size.
        """
        return self.load_into(self.spec.build_model(self.config, self.statistics), MODEL)

    def vocoder(self) -> Vocoder | None:
        """Load the vocoder; None where the file has none, or the model makes samples itself."""
        if self.spec.vocoder_part == MODEL or not self._names(self.spec.vocoder_part)[1]:
            return None
        return self.load_into(self.spec.build_vocoder(self.config), self.spec.vocoder_part)

    def load_into(self, network: M, prefix: str) -> M:
        """Load a part of the file into a network, in evaluation mode.

        Raises:
            F2VError: weights of another size.
        """
        load_weights(network, self._part(prefix), self.path, _hint(self.spec))
        return network

    @property
    def provenance(self) -> str:
        """Weights, training corpus, and the vocoder where it is not the trained one: for tables."""
        part = "" if self.ablation == "none" else f", without {self.ablation}"
        vocoder = "" if self._names(self.spec.vocoder_part)[1] else f", sound by {self.vocoder_name}"
        return f"{self.facts}, preset {self.config.preset}{part}{vocoder}{self.spec.provenance(self.config)}"

    @property
    def vocoder_name(self) -> str:
        """Name of the vocoder, trained or not."""
        trained = self.config.vocoder.generator if self._names(self.spec.vocoder_part)[1] else GRIFFIN_LIM
        return self.spec.vocoder_name(self.config) or trained

    def describe(self) -> dict[str, str]:
        """Return the rows of the model card that are this model's own."""
        return self.spec.describe(self.config)

    def _names(self, prefix: str) -> tuple[Path, list[str]]:
        """Return the tensors of a part, and the file that holds them."""
        for path in (self.path, self.base if prefix in _SHARED else None):
            if path is None:
                continue
            with safe_open(path, "pt") as file:
                names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  it is no mapping
            if names:
                return path, names
        return self.path, []

    def _part(self, prefix: str) -> dict[str, torch.Tensor]:
        path, names = self._names(prefix)
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in names}
        if self.format == 1:
            tensors = rename_keys(tensors, (*LAYER_KEYS, *self.spec.renamed_keys))
        return {
            name.removeprefix(prefix): one.float() if one.is_floating_point() else one for name, one in tensors.items()
        }


def read_head(spec: ModelSpec, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the header of a weight file with the names of the present format.

    Raises:
        KeyError: no header of this model.
    """
    if METADATA_KEY in metadata:
        head: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        if head["model"] not in spec.names:
            raise KeyError(f"it is one of '{head['model']}'")
        return head
    head = json.loads(metadata[spec.metadata_key or spec.name.replace("-", "_")])
    if "standard" in head:
        head["statistics"] = head.pop("standard")
    return head


def save_checkpoint(
    path: Path,
    spec: ModelSpec,
    *,
    config: SharedConfig,
    statistics: Statistics,
    facts: TrainingInfo,
    model: Mapping[str, torch.Tensor],
    lips: Mapping[str, torch.Tensor] | None,
    vocoder: Mapping[str, torch.Tensor] | None,
) -> None:
    """Write a weight file, whole or not at all, in half precision.

    Args:
        path: file to write.
        spec: declaration of the model.
        config: settings of the model.
        statistics: mean and deviation of features of the training corpus by name, ``mel`` among them.
        facts: facts of the training.
        model: state dict of the model.
        lips: state dict of the small lip encoder; None for official ones, which are not copied.
        vocoder: state dict of the vocoder; None for a model without a trained one.
    """
    parts = {spec.vocoder_part: vocoder or {}, MODEL: model, LIPS: lips or {}}  # the part of samples may be the model
    tensors = {
        f"{prefix}{name}": (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }
    head = {
        "format": FORMAT,
        "model": spec.name,
        "config": as_mapping(config),
        "statistics": dict(statistics),
        "facts": asdict(facts),
    }
    write_tensors(path, tensors, head)


def find_checkpoint(spec: ModelSpec, name: str | None, dataset: str | None) -> ModelCheckpoint:
    """Open weights by file or name, or those that were trained on a corpus.

    Args:
        spec: declaration of the model.
        name: weight file, or name of packaged weights; None chooses by corpus.
        dataset: name of the corpus that is to be synthesized.

    Raises:
        F2VError: no such weights, or none were trained on this corpus.
    """
    packaged = model_weights(spec.name)
    if name:
        if name in packaged:
            return ModelCheckpoint(spec, packaged[name])
        if Path(name).expanduser().is_file():
            return ModelCheckpoint(spec, Path(name).expanduser())
        raise F2VError(f"'{name}' is neither a weight file nor one of the packaged weights", suggest(name, packaged))
    known = [ModelCheckpoint(spec, path) for path in packaged.values()]
    for checkpoint in known:
        if checkpoint.facts.dataset == dataset and checkpoint.ablation == "none":
            return checkpoint
    others = "; ".join(str(checkpoint.facts) for checkpoint in known) or "none are installed"
    if dataset is None:
        raise F2VError(f"{spec.title} needs weights", f"choose with --weights NAME or FILE: {others}")
    raise F2VError(
        f"no weights of {spec.title} were trained on '{dataset}'",
        f"f2v-bench train --model {spec.name} --dataset {dataset}, then --weights FILE; "
        f"or take others with --weights: {others}",
    )


def shared_vocoder(config: SharedConfig) -> Vocoder:
    """Build the vocoder that all models of a corpus share, with random weights."""
    return build_vocoder(config.vocoder)


def strip_shared(weights: Path, base: Path, out: Path, vocoder_part: str = VOCODER) -> None:
    """Write a weight file without lip encoder and vocoder, which it leaves to shared weights.

    Args:
        weights: file of any model with all its parts.
        base: file of the same lip encoder and vocoder.
        out: file to write.
        vocoder_part: part that makes samples; one of the model's own stays.

    Raises:
        F2VError: other weights of lip encoder or vocoder in ``base``.
    """
    with safe_open(weights, "pt") as file, safe_open(base, "pt") as shared:
        ((_, text),) = (file.metadata() or {}).items()
        names = set(file.keys())
        left_out = _SHARED if vocoder_part == VOCODER else LIPS
        expected = {name for name in shared.keys() if name.startswith(left_out)}  # noqa: SIM118  it is no mapping
        common = {name for name in names if name.startswith(_SHARED)}
        if common != expected or any(not torch.equal(file.get_tensor(n), shared.get_tensor(n)) for n in common):
            raise F2VError(
                f"'{weights}' has another lip encoder or vocoder than '{base}'",
                "train it --from the run that the shared weights are of",
            )
        tensors = {name: file.get_tensor(name) for name in names - common}
    write_tensors(out, tensors, json.loads(text) | {"base": {"name": base.stem, "sha256": file_sha256(base)}})


def write_shared(weights: Path, out: Path) -> None:
    """Write lip encoder and vocoder of a weight file as shared weights."""
    with safe_open(weights, "pt") as file:
        names = [name for name in file.keys() if name.startswith(_SHARED)]  # noqa: SIM118  it is no mapping
        tensors = {name: file.get_tensor(name) for name in names}
    write_tensors(out, tensors)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], head: Mapping[str, Any] | None = None) -> None:
    """Write a safetensors file, whole or not at all.

    Args:
        path: file to write.
        tensors: tensors by name.
        head: header of a weight file; None for shared weights.
    """
    with atomic_path(path) as part:
        save_file(dict(tensors), part, metadata={METADATA_KEY: json.dumps(head)} if head else None)


def _hint(spec: ModelSpec) -> str:
    return f"train one: f2v-bench train --model {spec.name} --dataset NAME, or name a file: --weights FILE"


def _find_base(weights: Path, name: str, sha256: str) -> Path:
    path = shared_weights(name)
    if path is None or file_sha256(path) != sha256:
        state = "is not installed" if path is None else f"is another file at '{path}'"
        raise F2VError(
            f"'{weights}' needs the lip encoder and vocoder '{name}', which {state}",
            "install the version of f2v-bench that the weights came with",
        )
    return path
