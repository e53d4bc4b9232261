"""Turn what the command line says into a dataset, systems and metrics."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError, suggest
from f2v_bench.registry import DATASETS, METRICS, SYSTEMS

if TYPE_CHECKING:
    from f2v_bench.clip import Clip
    from f2v_bench.datasets.base import Dataset
    from f2v_bench.metrics.base import Metric, MetricUnavailable
    from f2v_bench.systems.base import System

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """``[LABEL=]NAME[:ARGUMENT]``, as ``--model`` takes it."""

    label: str
    name: str
    argument: str | None

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read one ``--model``.

        Raises:
            F2VError: an empty name, or a label that cannot name a folder.
        """
        head, colon, argument = text.partition(":")
        label, equals, name = head.partition("=")
        if not equals:
            label, name = "", head
        if not label:
            label = f"{name}-{Path(argument).stem}" if colon and argument else name
        if not name or not _LABEL.fullmatch(label):
            raise F2VError(
                f"--model {text!r} is not [LABEL=]NAME[:ARGUMENT] with a label of letters, digits, '.', '_', '+', '-'",
                "for example --model ground-truth, or --model lipvoicer=precomputed:wavs/lipvoicer",
            )
        return cls(label, name, argument if colon else None)


def load_dataset(name: str, root: Path | None, split: str, list_file: Path | None) -> Dataset:
    """The corpus at its root."""
    from f2v_bench.datasets.base import DatasetOptions

    dataset: Dataset = DATASETS.load(name)(DatasetOptions(root=root, split=split, list_file=list_file))
    return dataset


def take(clips: Sequence[Clip], limit: int | None) -> Sequence[Clip]:
    """The first clips of the list.

    Raises:
        F2VError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise F2VError(f"--limit must be at least 1, got {limit}", "leave it out to run the whole list")
    return clips[:limit]


@dataclass(frozen=True, slots=True)
class SystemChoices:
    """What a command line says to every system that listens.

    Attributes:
        weights: name or file.
        speaker_reference: where the voice comes from.
        landmarks: precomputed ones.
    """

    weights: str | None = None
    speaker_reference: str | None = None
    landmarks: Path | None = None


def load_systems(
    specs: Sequence[ModelSpec],
    dataset: Dataset,
    device: str,
    out: Path,
    choices: SystemChoices,
    settings: Mapping[str, dict[str, str]],
) -> list[tuple[str, System]]:
    """Every system, checked before anything runs.

    Args:
        specs: which.
        dataset: they will speak for.
        device: where.
        out: the run folder.
        choices: for all of them.
        settings: by label; ``speaker_reference`` stands above the choice for all.

    Raises:
        F2VError: an unknown name, a label twice, or something that a system lacks.
    """
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise F2VError(f"two systems are called '{label}'", f"give one a label of its own: --model NAME2={label}")
    return [
        (spec.label, _load_system(spec, dataset, device, out, choices, dict(settings.get(spec.label, {}))))
        for spec in specs
    ]


def _load_system(
    spec: ModelSpec, dataset: Dataset, device: str, out: Path, choices: SystemChoices, settings: dict[str, str]
) -> System:
    from f2v_bench.systems.base import SystemOptions

    kind: type[System] = SYSTEMS.load(spec.name)
    voice = choices.speaker_reference
    if kind.voices:
        voice = settings.pop("speaker_reference", voice)
    options = SystemOptions(
        clips=dataset.clips(),
        argument=spec.argument,
        device=device,
        workdir=out / "work" / spec.label,
        dataset=dataset.name,
        weights=choices.weights,
        speaker_reference=voice,
        landmarks=choices.landmarks,
        settings=settings,
    )
    return kind(options)


def load_metrics(
    names: Sequence[str], grammar: str | None, device: str, settings: Mapping[str, dict[str, str]]
) -> tuple[list[Metric], list[MetricUnavailable]]:
    """Every metric that can be computed here, and those that cannot.

    Args:
        names: as ``--metrics`` gives them; none means all, and then what is unavailable is listed, not refused.
        grammar: of the corpus.
        device: where to compute.
        settings: by metric.

    Raises:
        F2VError: an unknown name or setting, or a metric that was asked for by name and is unavailable.
    """
    from f2v_bench.metrics.base import MetricOptions, MetricUnavailable

    asked = bool(names)
    chosen = select_metrics(names)
    metrics: list[Metric] = []
    gone: list[MetricUnavailable] = []
    for name in chosen:
        try:
            metric: Metric = METRICS.load(name)(MetricOptions(device, grammar, settings.get(name, {})))
            metrics.append(metric)
        except MetricUnavailable as unavailable:
            if asked:
                raise F2VError(f"{name} is unavailable: {unavailable.why}", unavailable.do) from unavailable
            gone.append(unavailable)
    return metrics, gone


def select_metrics(names: Sequence[str]) -> list[str]:
    """The metrics that ``--metrics`` names, each once, or all there are."""
    return list(dict.fromkeys(name for text in names for name in text.split(",") if name)) or METRICS.names()


def parse_settings(settings: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """``NAME.OPTION=VALUE`` texts by metric or system.

    Args:
        settings: the texts.
        names: metrics and systems of the run.

    Raises:
        F2VError: another form, or a name that is not part of the run.
    """
    parsed: dict[str, dict[str, str]] = {}
    for text in settings:
        path, equals, value = text.partition("=")
        name, dot, option = path.rpartition(".")
        if not (equals and dot and option):
            raise F2VError(f"--set {text!r} is not NAME.OPTION=VALUE", "for example --set dnsmos.compat=all-segments")
        if name not in names:
            raise F2VError(f"--set {text!r}: there is no metric or model '{name}' in this run", suggest(name, names))
        parsed.setdefault(name, {})[option] = value
    return parsed


def resolve_device(device: str) -> str:
    """``auto`` becomes ``cuda`` where a GPU answers, else ``cpu``.

    Raises:
        F2VError: a GPU was asked for and none answers, or another word.
    """
    if device == "cpu":
        return device
    if device == "auto" and shutil.which("nvidia-smi") is None:
        return "cpu"  # without importing torch
    if device != "auto" and not re.fullmatch(r"cuda(:\d+)?", device):
        raise F2VError(f"--device {device!r} is not a device", "use auto, cpu, cuda or cuda:N")
    import torch

    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise F2VError(f"--device {device}: torch sees no GPU", "use --device cpu, or check the driver with nvidia-smi")


def split_names(texts: Sequence[str] | None) -> list[str]:
    """Names of columns out of texts with commas."""
    return [name for text in texts or [] for name in text.split(",") if name]
