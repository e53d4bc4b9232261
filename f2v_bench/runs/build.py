"""Systems and metrics of a run, built from their names."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError, suggest
from f2v_bench.registry import METRICS, SYSTEMS
from f2v_bench.utils.environment import cores

if TYPE_CHECKING:
    from f2v_bench.clip import Clip
    from f2v_bench.datasets.base import Dataset
    from f2v_bench.metrics.base import Metric, MetricUnavailable
    from f2v_bench.systems.base import System

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_NO_SETTINGS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ModelArgument:
    """Parsed ``[LABEL=]NAME[:ARGUMENT]``, the text that ``--model`` and ``evaluate`` take.

    Attributes:
        label: name of the table's row and of the audio folder.
        name: registered name of the system.
        argument: text after the colon, or None.
    """

    label: str
    name: str
    argument: str | None

    @classmethod
    def parse(cls, text: str) -> ModelArgument:
        """Parse one ``--model``.

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


@dataclass(frozen=True, slots=True)
class ModelChoices:
    """Choices that hold for every system of a run that supports them.

    Attributes:
        weights: name or file of the weights.
        speaker_reference: source of the speaker embedding: ``face``, ``same-clip`` or ``other-clip``.
        landmarks: folder of precomputed face landmarks.
    """

    weights: str | None = None
    speaker_reference: str | None = None
    landmarks: Path | None = None


def parse_systems(
    systems: Sequence[str | System] | None, dataset: str, weights: str | None
) -> tuple[Sequence[ModelArgument | System], list[str]]:
    """Return parsed names and systems, and notes about missing default systems."""
    if systems is None:
        return default_models(dataset, weights)
    return [ModelArgument.parse(one) if isinstance(one, str) else one for one in systems], []


def default_models(dataset: str, weights: str | None) -> tuple[list[ModelArgument], list[str]]:
    """Return the default systems for a corpus, and notes about missing ones."""
    from f2v_bench.systems.base import SystemOptions

    names, notes = ["ground-truth", "resynthesis"], []
    try:
        SYSTEMS.load("ours")(SystemOptions(dataset=dataset, weights=weights))
        names.append("ours")
    except F2VError as error:
        notes.append(f"without the reference model 'ours': {error.what}; {error.do}")
    return [ModelArgument.parse(name) for name in names], notes


def load_systems(
    models: Sequence[ModelArgument | System],
    dataset: Dataset,
    device: str,
    out: Path,
    choices: ModelChoices,
    settings: Mapping[str, Mapping[str, str]],
) -> list[tuple[str, System]]:
    """Construct every system, so that a missing requirement is reported before the run starts.

    Args:
        models: parsed ``--model`` arguments, or systems, whose label is their name.
        dataset: opened corpus.
        device: torch device.
        out: run folder, in which systems get a working folder.
        choices: choices for all systems.
        settings: settings by label; ``speaker_reference`` overrides the choice for all systems.

    Returns:
        Labels and systems.

    Raises:
        F2VError: an unknown name, a duplicate label, or a missing requirement of a system.
    """
    labels = [model.label if isinstance(model, ModelArgument) else model.name for model in models]
    for label in labels:
        if labels.count(label) > 1:
            raise F2VError(f"two systems are called '{label}'", f"give one a label of its own: --model NAME2={label}")
    return [
        (
            label,
            load_system(
                model,
                dataset.clips(),
                device,
                dataset=dataset.name,
                workdir=out / "work" / label,
                choices=choices,
                settings=settings.get(label, _NO_SETTINGS),
            )
            if isinstance(model, ModelArgument)
            else model,
        )
        for label, model in zip(labels, models, strict=True)
    ]


def load_system(
    model: ModelArgument,
    clips: Sequence[Clip],
    device: str,
    *,
    dataset: str | None,
    workdir: Path | None,
    choices: ModelChoices,
    settings: Mapping[str, str],
) -> System:
    """Construct one system.

    Args:
        model: parsed ``--model`` argument.
        clips: all clips of the split.
        device: torch device.
        dataset: name of the corpus, by which systems choose their weights.
        workdir: working folder, kept between resumes.
        choices: weights, speaker reference and landmarks.
        settings: the system's own settings, and ``speaker_reference`` where it has a choice.

    Raises:
        F2VError: an unknown name or setting, or a missing requirement of the system.
    """
    from f2v_bench.systems.base import SystemOptions

    system_class: type[System] = SYSTEMS.load(model.name)
    own = dict(settings)
    reference = choices.speaker_reference
    if system_class.voices:
        reference = own.pop("speaker_reference", reference)
    return system_class(
        SystemOptions(
            clips=clips,
            argument=model.argument,
            device=device,
            workdir=workdir,
            dataset=dataset,
            weights=choices.weights,
            speaker_reference=reference,
            landmarks=choices.landmarks,
            settings=own,
        )
    )


def load_metrics(
    metrics: Sequence[str | Metric] | None,
    grammar: str | None,
    device: str,
    settings: Mapping[str, Mapping[str, str]],
) -> tuple[list[Metric], list[MetricUnavailable]]:
    """Construct metrics; return those that can be computed on this machine, and those that cannot.

    Args:
        metrics: metrics, or names with commas or alone; none selects all, and then unavailable ones are returned.
        grammar: JSGF grammar of the corpus, or None.
        device: torch device.
        settings: settings by metric.

    Raises:
        F2VError: an unknown name or setting, or a requested metric that is unavailable.
    """
    from f2v_bench.metrics.base import MetricUnavailable

    found: dict[str, Metric] = {}
    unavailable: list[MetricUnavailable] = []
    for one in metrics or METRICS.names():
        if not isinstance(one, str):
            found.setdefault(one.name, one)
            continue
        for name in split_names([one]):
            try:
                found.setdefault(name, load_metric(name, grammar, device, settings.get(name, _NO_SETTINGS)))
            except MetricUnavailable as error:
                if metrics:
                    raise F2VError(f"{name} is unavailable: {error.why}", error.do) from error
                unavailable.append(error)
    return list(found.values()), unavailable


def load_metric(name: str, grammar: str | None, device: str, settings: Mapping[str, str]) -> Metric:
    """Construct one metric.

    Raises:
        F2VError: an unknown name or setting.
        MetricUnavailable: weights or a package are missing.
    """
    from f2v_bench.metrics.base import MetricOptions

    metric: Metric = METRICS.load(name)(MetricOptions(device, grammar, settings))
    return metric


def select_metrics(names: Sequence[str]) -> list[str]:
    """Return the requested metrics, each once, or all registered ones."""
    return list(dict.fromkeys(split_names(names))) or METRICS.names()


def split_names(texts: Sequence[str] | None) -> list[str]:
    """Split texts at commas and drop empty names."""
    return [name for text in texts or [] for name in text.split(",") if name]


def check_settings(
    settings: Mapping[str, Mapping[str, object]],
    models: Sequence[ModelArgument | System],
    metrics: Sequence[str | Metric] | None,
) -> dict[str, dict[str, str]]:
    """Return the settings as text.

    Raises:
        F2VError: settings of a name that is neither the label of a named system nor the name of a metric.
    """
    names = select_metrics([one for one in metrics or [] if isinstance(one, str)])
    known = [*names, *(one.label for one in models if isinstance(one, ModelArgument))]
    for name, own in settings.items():
        if name not in known:
            option = next(iter(own), "")
            raise F2VError(
                f"setting '{name}.{option}': there is no metric or model '{name}' in this run", suggest(name, known)
            )
    return {name: {option: str(value) for option, value in own.items()} for name, own in settings.items()}


def take(clips: Sequence[Clip], limit: int | None) -> Sequence[Clip]:
    """Return the first ``limit`` clips, or all of them.

    Raises:
        F2VError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise F2VError(f"--limit must be at least 1, got {limit}", "omit it to run the whole list")
    return clips[:limit]


def resolve_device(device: str) -> str:
    """Return ``cuda`` for ``auto`` where a GPU is available, else ``cpu``; other devices are checked.

    Raises:
        F2VError: a GPU was requested and none is available, or the name is not a device.
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
    raise F2VError(f"--device {device}: torch finds no GPU", "use --device cpu, or check the driver with nvidia-smi")


def default_workers() -> int:
    """Return the number of cores, or 1 for a script that would run again in every process it starts."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return cores()
    has_guard = "__main__" in Path(file).read_text(encoding="utf-8", errors="replace")
    return cores() if has_guard else 1
