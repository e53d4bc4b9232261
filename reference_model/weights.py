"""One file with everything that synthesis needs: lip encoder, model, vocoder, settings and the model card's facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from f2v_bench.assets import file_sha256
from f2v_bench.errors import F2VError, suggest
from f2v_bench.folders import replacing
from f2v_bench.nn.checkpoint import load_weights
from f2v_bench.nn.frozen_lips import FrozenLips
from f2v_bench.nn.generator import Generator
from f2v_bench.nn.vocoder import build_vocoder
from f2v_bench.signal.griffin_lim import NAME as GRIFFIN_LIM
from f2v_bench.training.settings import as_mapping, from_mapping, with_texts
from reference_model.config import ReferenceConfig
from reference_model.model import ReferenceModel, Standard

M = TypeVar("M", bound=nn.Module)
#: raise when files of before can no longer be read
FORMAT = 1
_HEAD = "reference_model"  # one entry alone: safetensors writes several in any order, and equal files would differ
#: weights that come with the package, by corpus
SHIPPED = Path(__file__).parent / "shipped"
_HOW = "train one: f2v-bench train --model ours --dataset NAME, or name a file: --weights FILE"


@dataclass(frozen=True, slots=True)
class Facts:
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
        licence: of the weights.
    """

    name: str
    dataset: str
    list_id: str
    clips: int
    hours: float
    stages: Mapping[str, Mapping[str, float]]
    hardware: str
    seed: int
    licence: str

    def __str__(self) -> str:
        return f"weights {self.name}: trained by f2v-bench on {self.clips} clips ({self.hours:.1f} h) of {self.list_id}"


class Weights:
    """A weight file, read when its parts are asked for.

    Args:
        path: of the file.

    Raises:
        F2VError: no such file, or not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, "pt") as file:
                head = json.loads((file.metadata() or {})[_HEAD])
            if head["format"] != FORMAT:
                raise F2VError(f"'{path}' has format {head['format']}, this version reads {FORMAT}", "train it anew")
            self.config = from_mapping(ReferenceConfig, head["config"])
            self.standard = Standard(**{name: tuple(pair) for name, pair in head["standard"].items()})
            self.facts = Facts(**head["facts"])
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise F2VError(f"'{path}' is no weight file of the reference model: {error}", _HOW) from error

    @cached_property
    def sha256(self) -> str:
        return file_sha256(self.path)

    def lips(self) -> FrozenLips:
        """The frozen lip encoder."""
        own = self._part("lips.")
        return FrozenLips(self.config.lips, own or None)

    def model(self) -> ReferenceModel:
        """The model, ready for synthesis."""
        return self._filled(ReferenceModel(self.config, self.standard), "model.")

    def vocoder(self) -> Generator | None:
        """The vocoder, or None where the file has none."""
        own = self._part("vocoder.")
        return self._filled(build_vocoder(self.config.vocoder), "vocoder.") if own else None

    @property
    def provenance(self) -> str:
        """For tables: which weights, what they were trained on, and how mel becomes sound."""
        with safe_open(self.path, "pt") as file:
            spoken = any(name.startswith("vocoder.") for name in file.keys())  # noqa: SIM118  it is no mapping
        ablation = "" if self.config.ablate == "none" else f", without {self.config.ablate}"
        return f"{self.facts}, preset {self.config.preset}{ablation}{'' if spoken else f', sound by {GRIFFIN_LIM}'}"

    def flow_settings(self, names: Sequence[str], texts: Mapping[str, str]) -> dict[str, Any]:
        """Named settings of the flow's sampling, with some of them replaced by what texts say.

        Raises:
            F2VError: a value that cannot be.
        """
        flow = with_texts(self.config.flow, [f"{name}={value}" for name, value in texts.items()])
        return {name: getattr(flow, name) for name in names}

    def _filled(self, module: M, prefix: str) -> M:
        load_weights(module, self._part(prefix), self.path, _HOW)
        return module

    def _part(self, prefix: str) -> dict[str, torch.Tensor]:
        with safe_open(self.path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  it is no mapping
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        return {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}


def save_weights(
    path: Path,
    *,
    config: ReferenceConfig,
    standard: Standard,
    facts: Facts,
    model: Mapping[str, torch.Tensor],
    lips: Mapping[str, torch.Tensor] | None,
    vocoder: Mapping[str, torch.Tensor] | None,
) -> None:
    """Write a weight file, whole or not at all; numbers are kept in half precision.

    Args:
        path: of the file.
        config: of the model.
        standard: of its training corpus.
        facts: for the card and the tables.
        model: its state dict.
        lips: that of the stand-in; official lip encoders are not copied.
        vocoder: that of the generator, where there is one.
    """
    parts = {"model.": model, "lips.": lips or {}, "vocoder.": vocoder or {}}
    tensors = {
        f"{prefix}{name}": (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }
    head = {
        "format": FORMAT,
        "config": as_mapping(config),
        "standard": asdict(standard),
        "facts": asdict(facts),
    }
    with replacing(path) as part:
        save_file(tensors, part, metadata={_HEAD: json.dumps(head)})


def shipped() -> dict[str, Path]:
    """Weights that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def find_weights(name: str | None, dataset: str | None) -> Weights:
    """Weights by file or name, or those that were trained on a corpus.

    Args:
        name: a file, or the name of shipped weights; None chooses by corpus.
        dataset: the corpus that will be synthesized.

    Raises:
        F2VError: no such weights, or none were trained on this corpus.
    """
    here = shipped()
    if name:
        if name in here:
            return Weights(here[name])
        if Path(name).expanduser().is_file():
            return Weights(Path(name).expanduser())
        raise F2VError(f"'{name}' is neither a weight file nor one of the shipped weights", suggest(name, here))
    for path in here.values():
        weights = Weights(path)
        if weights.facts.dataset == dataset and weights.config.ablate == "none":
            return weights
    raise _none_for(dataset, here)


def _none_for(dataset: str | None, here: Mapping[str, Path]) -> F2VError:
    others = "; ".join(str(Weights(path).facts) for path in here.values()) or "none are shipped"
    if dataset is None:
        return F2VError("the reference model needs weights", f"choose with --weights NAME or FILE: {others}")
    return F2VError(
        f"no weights of the reference model were trained on '{dataset}'",
        f"f2v-bench train --model ours --dataset {dataset}, then --weights FILE; or take others with --weights: "
        + others,
    )
