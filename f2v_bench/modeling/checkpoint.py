"""One file with everything that synthesis needs: lip encoder, model, vocoder, settings and the model card's facts.

Models of a corpus that stand on the same lip encoder and vocoder need not each bring them: a shipped file may leave
both to a base, which lies once beside this module and is named with its SHA-256.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from f2v_bench.assets import file_sha256
from f2v_bench.config import as_mapping, from_mapping
from f2v_bench.errors import F2VError, suggest
from f2v_bench.modeling.base import Model
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.nn.checkpoints.legacy import LAYER_KEYS, rename_keys
from f2v_bench.nn.checkpoints.torch import load_weights
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.build import build_vocoder
from f2v_bench.signal.griffin_lim import NAME as GRIFFIN_LIM
from f2v_bench.utils.paths import atomic_path

C = TypeVar("C", bound=SharedConfig)
M = TypeVar("M", bound=nn.Module)
#: raise when files of before can no longer be read
FORMAT = 1
#: lip encoders and vocoders that come with the package
SHARED_WEIGHTS = Path(__file__).parent.parent / "training" / "shipped"
LIPS, VOCODER, MODEL = "lips.", "vocoder.", "model."
OWN_VOCODER = "voice."  # a vocoder of the model's own, which no base has
_SHARED = (LIPS, VOCODER)


@dataclass(frozen=True, slots=True)
class TrainingInfo:
    """What a table must say of weights.

    Attributes:
        name: of the weights.
        dataset: they were trained on.
        list_id: of the training clips.
        clips: how many.
        hours: of speech.
        stages: steps and seconds of each.
        hardware: where.
        seed: of the training.
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
        """Build it from a file's head; format 1 wrote ``licence``."""
        fields = dict(mapping)
        if "licence" in fields:
            fields["license"] = fields.pop("licence")
        return cls(**fields)

    def __str__(self) -> str:
        return f"weights {self.name}: trained by f2v-bench on {self.clips} clips ({self.hours:.1f} h) of {self.list_id}"


class ModelCheckpoint(ABC, Generic[C]):
    """A weight file of one kind of model, read when its parts are asked for; each model has a class of its own.

    Args:
        path: of the file.

    Raises:
        F2VError: no such file, not one of this model, or its base is not here.
    """

    #: as ``--model`` says it
    system: ClassVar[str]
    #: what messages call it
    title: ClassVar[str]
    #: entry of the file's head that only this model's files have; one alone, since safetensors writes several in any
    #: order, and equal files would differ
    head: ClassVar[str]
    #: class of its settings
    settings: ClassVar[type[Any]]
    #: folder of those that come with the package
    weights_dir: ClassVar[Path]
    #: the part that makes the sound
    vocoder_key: ClassVar[str] = VOCODER

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, "pt") as file:
                head = json.loads((file.metadata() or {})[self.head])
            if head["format"] != FORMAT:
                raise F2VError(f"'{path}' has format {head['format']}, this version reads {FORMAT}", "train it anew")
            self.config: C = from_mapping(self.settings, head["config"])
            self.standard: dict[str, tuple[float, float]] = {
                name: (float(mean), float(deviation)) for name, (mean, deviation) in head["standard"].items()
            }
            self.facts = TrainingInfo.from_mapping(head["facts"])
            base = head.get("base")
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise F2VError(f"'{path}' is no weight file of {self.title}: {error}", self._how()) from error
        self.base = _base(path, base["name"], base["sha256"]) if base else None

    @classmethod
    def _how(cls) -> str:
        return f"train one: f2v-bench train --model {cls.system} --dataset NAME, or name a file: --weights FILE"

    @property
    def ablation(self) -> str:
        """The part that is left out, or ``none``."""
        return "none"

    @property
    def evaluations(self) -> int | None:
        """How often synthesis runs the decoder for a clip (NFE), with the file's own sampling; None is as it finds."""
        return 1

    @cached_property
    def sha256(self) -> str:
        """Of the file, which names its base's."""
        return file_sha256(self.path)

    def lips(self) -> FrozenLipEncoder:
        """The frozen lip encoder."""
        return FrozenLipEncoder(self.config.lips, self._part(LIPS) or None)

    @property
    def uses_lip_encoder(self) -> bool:
        """Whether the model looks at features of the frozen encoder."""
        return True

    @abstractmethod
    def model(self) -> Model:
        """The model, ready for synthesis."""

    def vocoder(self) -> Vocoder | None:
        """The vocoder, or None where the file has none."""
        own = self._part(self.vocoder_key)
        return self._fill(self.generator(), own) if own else None

    def generator(self) -> Vocoder:
        """The vocoder's network, without its weights."""
        return build_vocoder(self.config.vocoder)

    def filled(self, network: M) -> M:
        """The model with its weights, ready for synthesis.

        Raises:
            F2VError: weights of another size.
        """
        return self._fill(network, self._part(MODEL))

    @property
    def provenance(self) -> str:
        """For tables: which weights, what they were trained on, and how mel becomes sound."""
        part = "" if self.ablation == "none" else f", without {self.ablation}"
        spoken = "" if self._names(self.vocoder_key)[1] else f", sound by {self.vocoder_name}"
        return f"{self.facts}, preset {self.config.preset}{part}{spoken}"

    @property
    def vocoder_name(self) -> str:
        """What makes the sound."""
        return self.config.vocoder.generator if self._names(self.vocoder_key)[1] else GRIFFIN_LIM

    def describe(self) -> dict[str, str]:
        """What the card says of this model alone, name to text."""
        return {}

    def _fill(self, module: M, part: Mapping[str, torch.Tensor]) -> M:
        load_weights(module, part, self.path, self._how())
        return module

    def _names(self, prefix: str) -> tuple[Path, list[str]]:
        """Tensors of a part, and the file that holds them."""
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
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        tensors = rename_keys(tensors, LAYER_KEYS)
        return {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}

    @classmethod
    def save(
        cls,
        path: Path,
        *,
        config: C,
        standard: Mapping[str, tuple[float, float]],
        facts: TrainingInfo,
        model: Mapping[str, torch.Tensor],
        lips: Mapping[str, torch.Tensor] | None,
        vocoder: Mapping[str, torch.Tensor] | None,
    ) -> None:
        """Write a weight file, whole or not at all; numbers are kept in half precision.

        Args:
            path: of the file.
            config: of the model.
            standard: means and deviations of its training corpus, ``mel`` among them.
            facts: for the card and the tables.
            model: its state dict.
            lips: that of the stand-in; official lip encoders are not copied.
            vocoder: that of the generator, where there is one.
        """
        parts = {cls.vocoder_key: vocoder or {}, MODEL: model, LIPS: lips or {}}  # a model may make the sound itself
        tensors = {
            f"{prefix}{name}": (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
            for prefix, part in parts.items()
            for name, tensor in part.items()
        }
        head = {"format": FORMAT, "config": as_mapping(config), "standard": standard, "facts": asdict(facts)}
        _write(path, tensors, {cls.head: head})

    @classmethod
    def shipped(cls) -> dict[str, Path]:
        """Weights that come with the package, by name."""
        return {path.stem: path for path in sorted(cls.weights_dir.glob("*.safetensors"))}

    @classmethod
    def find(cls, name: str | None, dataset: str | None) -> Self:
        """Weights by file or name, or those that were trained on a corpus.

        Args:
            name: a file, or the name of shipped weights; None chooses by corpus.
            dataset: the corpus that will be synthesized.

        Raises:
            F2VError: no such weights, or none were trained on this corpus.
        """
        here = cls.shipped()
        if name:
            if name in here:
                return cls(here[name])
            if Path(name).expanduser().is_file():
                return cls(Path(name).expanduser())
            raise F2VError(f"'{name}' is neither a weight file nor one of the shipped weights", suggest(name, here))
        known = [cls(path) for path in here.values()]
        for weights in known:
            if weights.facts.dataset == dataset and weights.ablation == "none":
                return weights
        others = "; ".join(str(weights.facts) for weights in known) or "none are shipped"
        if dataset is None:
            raise F2VError(f"{cls.title} needs weights", f"choose with --weights NAME or FILE: {others}")
        raise F2VError(
            f"no weights of {cls.title} were trained on '{dataset}'",
            f"f2v-bench train --model {cls.system} --dataset {dataset}, then --weights FILE; "
            f"or take others with --weights: {others}",
        )


def strip_shared(weights: Path, base: Path, out: Path, vocoder_key: str = VOCODER) -> None:
    """Write a weight file anew without lip encoder and vocoder, which it leaves to a base.

    Args:
        weights: of any model, with all its parts.
        base: file of the same lip encoder and vocoder.
        out: what is written.
        sounding: the part that makes the sound; one of the model's own stays.

    Raises:
        F2VError: the base's lip encoder or vocoder are others.
    """
    with safe_open(weights, "pt") as file, safe_open(base, "pt") as shared:
        ((name, text),) = (file.metadata() or {}).items()
        here = set(file.keys())
        left = _SHARED if vocoder_key == VOCODER else LIPS
        there = {one for one in shared.keys() if one.startswith(left)}  # noqa: SIM118  it is no mapping
        common = {one for one in here if one.startswith(_SHARED)}
        if common != there or any(not torch.equal(file.get_tensor(one), shared.get_tensor(one)) for one in common):
            raise F2VError(
                f"'{weights}' has another lip encoder or vocoder than '{base}'", "train it --from the base's training"
            )
        tensors = {one: file.get_tensor(one) for one in here - common}
    head = json.loads(text) | {"base": {"name": base.stem, "sha256": file_sha256(base)}}
    _write(out, tensors, {name: head})


def write_shared(weights: Path, out: Path) -> None:
    """Write lip encoder and vocoder of a weight file as a base."""
    with safe_open(weights, "pt") as file:
        names = [name for name in file.keys() if name.startswith(_SHARED)]  # noqa: SIM118  it is no mapping
        tensors = {name: file.get_tensor(name) for name in names}
    _write(out, tensors, {})


def _write(path: Path, tensors: Mapping[str, torch.Tensor], head: Mapping[str, Any]) -> None:
    with atomic_path(path) as part:
        save_file(dict(tensors), part, metadata={name: json.dumps(value) for name, value in head.items()} or None)


def _base(weights: Path, name: str, sha256: str) -> Path:
    path = SHARED_WEIGHTS / f"{name}.safetensors"
    if not path.is_file() or file_sha256(path) != sha256:
        state = "is another file" if path.is_file() else "is not there"
        raise F2VError(
            f"'{weights}' needs the lip encoder and vocoder '{name}', but '{path}' {state}",
            "install the version of f2v-bench that the weights came with",
        )
    return path
