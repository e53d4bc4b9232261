"""Python interface of the benchmark; the command line calls it too.

A script that scores in several processes needs ``if __name__ == "__main__":`` around its calls, as for every Python
program that starts processes. Without it, scoring runs in one process. Notebooks need nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from f2v_bench import registry
from f2v_bench.clip import Clip
from f2v_bench.dubbing import DubResult, dub
from f2v_bench.errors import F2VError, suggest
from f2v_bench.reporting.comparison import Comparison, compare_runs
from f2v_bench.reporting.result import Result
from f2v_bench.runs import build
from f2v_bench.runs.folder import RunFolder
from f2v_bench.runs.spec import NoProgress, ProgressCallback, RunSpec
from f2v_bench.scoring.comparison import COVERAGE_FLOOR
from f2v_bench.utils.multiprocessing import setup_numba_cache

if TYPE_CHECKING:
    from f2v_bench.datasets.base import Dataset
    from f2v_bench.metrics.base import Metric
    from f2v_bench.systems.base import System
    from f2v_bench.training.trainer import TrainerConfig

__all__ = [
    "Comparison",
    "DubResult",
    "ProgressCallback",
    "Result",
    "compare",
    "dub",
    "evaluate",
    "load_dataset",
    "load_metric",
    "load_system",
    "score",
    "train",
    "training_dir",
]

Settings = Mapping[str, Mapping[str, object]]
LogFunction = Callable[[str], None]
_NO_SETTINGS: Settings = {}


def load_dataset(
    name: str, *, root: Path | str | None = None, split: str = "test", list_file: Path | str | None = None
) -> Dataset:
    """Open a corpus.

    Args:
        name: registered name: ``demo``, ``folder``, ``grid``, ``lrs2``, ``lrs3``, or one of a plugin.
        root: folder (or manifest CSV) of the corpus; None uses ``$F2V_DATA/NAME``.
        split: split of the corpus.
        list_file: file with one clip id per line that replaces the list of the split.

    Raises:
        F2VError: an unknown name, or a missing corpus.
    """
    from f2v_bench.datasets.base import DatasetOptions

    options = DatasetOptions(
        root=None if root is None else Path(root),
        split=split,
        list_file=None if list_file is None else Path(list_file),
    )
    dataset: Dataset = registry.DATASETS.load(name)(options)
    return dataset


def load_system(
    name: str,
    *,
    dataset: str | Dataset | None = None,
    device: str = "auto",
    weights: str | None = None,
    speaker_reference: str | None = None,
    landmarks: Path | str | None = None,
    **settings: object,
) -> System:
    """Construct a system; its weights are loaded on the first call of ``synthesize``.

    Args:
        name: ``NAME[:ARGUMENT]``, for example ``ours`` or ``precomputed:FOLDER``.
        dataset: corpus, by which systems choose their weights. Systems that draw from the clips of the corpus
            (``shuffled``, speaker reference ``other-clip``) need the opened one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        weights: name or file of the weights; None uses those of the corpus.
        speaker_reference: source of the speaker embedding: ``face``, ``same-clip`` or ``other-clip``.
        landmarks: folder of precomputed face landmarks.
        **settings: settings of the system, for example ``steps=10``.

    Raises:
        F2VError: an unknown name or setting, or a missing requirement of the system.
    """
    if dataset is None or isinstance(dataset, str):
        corpus, clips = dataset, tuple[Clip, ...]()
    else:
        corpus, clips = dataset.name, tuple(dataset.clips())
    return build.load_system(
        build.ModelArgument.parse(name),
        clips,
        build.resolve_device(device),
        dataset=corpus,
        workdir=None,
        choices=build.ModelChoices(weights, speaker_reference, None if landmarks is None else Path(landmarks)),
        settings={option: str(value) for option, value in settings.items()},
    )


def load_metric(name: str, *, device: str = "auto", grammar: str | None = None, **settings: object) -> Metric:
    """Construct a metric, which is called with arrays or tensors: ``metric(audio, reference, sample_rate=16000)``.

    Args:
        name: registered name: ``dnsmos``, ``stoi``, ``wer``, ...
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        grammar: JSGF grammar of the sentences (``Dataset.grammar``), or None for open speech.
        **settings: options of the metric, for example ``compat="all-segments"``.

    Raises:
        F2VError: an unknown name or setting, or missing weights or packages.
    """
    from f2v_bench.metrics.base import MetricUnavailable

    setup_numba_cache()
    options = {option: str(value) for option, value in settings.items()}
    try:
        return build.load_metric(name, grammar, build.resolve_device(device), options)
    except MetricUnavailable as error:
        raise F2VError(f"{name} is unavailable: {error.why}", error.do) from error


def evaluate(
    systems: Sequence[str | System] | None = None,
    dataset: str | Dataset = "demo",
    metrics: Sequence[str | Metric] | None = None,
    *,
    root: Path | str | None = None,
    split: str = "test",
    list_file: Path | str | None = None,
    weights: str | None = None,
    speaker_reference: str | None = None,
    landmarks: Path | str | None = None,
    settings: Settings = _NO_SETTINGS,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    faces: bool = True,
    workers: int | None = None,
    use_cache: bool = True,
    out: Path | str | None = None,
    command: Sequence[str] = ("f2v_bench.evaluate",),
    progress: ProgressCallback | None = None,
    log: LogFunction | None = None,
) -> Result:
    """Synthesize the clips of a corpus with systems, score them, and return the result.

    Args:
        systems: systems, or their names as ``[LABEL=]NAME[:ARGUMENT]``; None selects ``ground-truth``,
            ``resynthesis`` and, where it has weights for the corpus, ``ours``.
        dataset: name of a corpus, or an opened one (``root``, ``split`` and ``list_file`` are then not used).
        metrics: metrics or their names; None selects all that can be computed on this machine.
        root: folder (or manifest CSV) of the corpus; None uses ``$F2V_DATA/NAME``.
        split: split of the corpus.
        list_file: file with one clip id per line that replaces the list of the split.
        weights: name or file of the weights, for all named systems that have a choice.
        speaker_reference: source of the speaker embedding, for all named systems that have a choice.
        landmarks: folder of precomputed face landmarks.
        settings: settings by label of a named system or by name of a metric: ``{"ours": {"steps": 10}}``.
        limit: number of clips, from the start of the list; None runs all.
        seed: seed of every random choice, together with the clip id.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        faces: True to detect the talking face of every clip first.
        workers: number of scoring processes; None uses every core.
        use_cache: True to share scores of unchanged audio between runs.
        out: run folder. An existing run is resumed. None uses a temporary folder that is deleted with the result;
            copy it with ``Result.save``.
        command: command line, recorded in the run folder.
        progress: progress callback; None is silent.
        log: function called with each note about the run; None is silent.

    Raises:
        F2VError: an unknown name or setting, a missing corpus or requirement, or an unsuitable run folder.
    """
    from f2v_bench.runs.executor import run
    from f2v_bench.runs.faces import face_finder

    setup_numba_cache()
    device = build.resolve_device(device)
    corpus = load_dataset(dataset, root=root, split=split, list_file=list_file) if isinstance(dataset, str) else dataset
    clips = corpus.clips()
    models, notes = build.parse_systems(systems, corpus.name, weights)
    texts = build.check_settings(settings, models, metrics)
    temporary = TemporaryDirectory(prefix="f2v-bench-") if out is None else None
    path = Path(temporary.name) / "run" if temporary else Path(out or "")
    landmark_folder = None if landmarks is None else Path(landmarks)
    choices = build.ModelChoices(weights, speaker_reference, landmark_folder)
    chosen, unavailable = build.load_metrics(metrics, corpus.grammar, device, texts)
    spec = RunSpec(
        dataset=corpus,
        clips=build.take(clips, limit),
        list_size=len(clips),
        systems=build.load_systems(models, corpus, device, path, choices, texts),
        metrics=chosen,
        unavailable=unavailable,
        seed=seed,
        device=device,
        command=command,
        find_face=face_finder(landmark_folder) if faces else None,
        workers=workers or build.default_workers(),
        use_cache=use_cache,
        notes=[*notes, *corpus.remarks],
    )
    for message in [*(f"note: {note}" for note in spec.notes), *(f"unavailable: {one}" for one in unavailable)]:
        if log is not None:
            log(message)
    run(spec, RunFolder(path), progress or NoProgress())
    return Result(path, temporary)


def score(
    wavs: Path | str,
    dataset: str | Dataset = "demo",
    metrics: Sequence[str | Metric] | None = None,
    *,
    label: str | None = None,
    root: Path | str | None = None,
    split: str = "test",
    list_file: Path | str | None = None,
    settings: Settings = _NO_SETTINGS,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    use_cache: bool = True,
    out: Path | str | None = None,
    command: Sequence[str] = ("f2v_bench.score",),
    progress: ProgressCallback | None = None,
    log: LogFunction | None = None,
) -> Result:
    """Score a folder of audio files next to the real speech of a corpus.

    Args:
        wavs: folder of audio files, however nested, named after the clip ids.
        dataset: name of a corpus, or an opened one.
        metrics: metrics or their names; None selects all that can be computed on this machine.
        label: label of the folder in the table; None uses the folder's name.
        root: as in ``evaluate``, like all further arguments.
        split: split of the corpus.
        list_file: file with one clip id per line.
        settings: settings by name of a metric.
        limit: number of clips, from the start of the list.
        seed: random seed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: number of scoring processes.
        use_cache: True to share scores of unchanged audio between runs.
        out: run folder.
        command: command line, recorded in the run folder.
        progress: progress callback.
        log: function called with each note about the run.

    Raises:
        F2VError: as in ``evaluate``.
    """
    return evaluate(
        ["ground-truth", f"{label or wavs_label(wavs)}=precomputed:{wavs}"],
        dataset,
        metrics,
        root=root,
        split=split,
        list_file=list_file,
        settings=settings,
        limit=limit,
        seed=seed,
        device=device,
        faces=False,
        workers=workers,
        use_cache=use_cache,
        out=out,
        command=command,
        progress=progress,
        log=log,
    )


def wavs_label(wavs: Path | str) -> str:
    """Return the default label of a folder of audio files: its name without spaces."""
    return Path(wavs).resolve().name.replace(" ", "_")


def compare(
    *runs: Result | Path | str,
    baseline: str | None = None,
    systems: Sequence[str] = (),
    columns: Sequence[str] = (),
    all_columns: bool = False,
    intersection: bool = False,
    coverage_floor: float = COVERAGE_FLOOR,
) -> Comparison:
    """Compare the systems of one or several runs in pairs: differences, intervals, p-values, verdicts.

    Args:
        *runs: results or run folders.
        baseline: label of the system that all others are compared with; None compares every pair.
        systems: labels (``label`` or ``run/label``); none selects all.
        columns: names of columns; none selects the headline columns.
        all_columns: True to select every column.
        intersection: True to compare runs of different lists on the clips that they have in common.
        coverage_floor: share of the clips that a system must have a value for, 0 to 1.

    Raises:
        F2VError: unknown names, fewer than two systems, or runs of different lists without ``intersection``.
    """
    setup_numba_cache()
    folders = [one.folder if isinstance(one, Result) else RunFolder(Path(one)) for one in runs]
    return compare_runs(
        folders,
        baseline=baseline,
        systems=systems,
        columns=columns,
        all_columns=all_columns,
        intersection=intersection,
        coverage_floor=coverage_floor,
    )


def train(
    model: str = "ours",
    dataset: str = "demo",
    *,
    root: Path | str | None = None,
    preset: str = "tiny",
    stage: str | None = None,
    ablate: str = "none",
    base: Path | None = None,
    config: Path | None = None,
    settings: Sequence[str] = (),
    train_split: str = "train",
    val_split: str = "val",
    seed: int = 0,
    out: Path | None = None,
    trainer: TrainerConfig | None = None,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    log: LogFunction | None = None,
) -> Path | None:
    """Train a model on a corpus, stage by stage; an interrupted training is resumed to the same result.

    Args:
        model: registered name of the model.
        dataset: name of the corpus.
        root: folder (or manifest CSV) of the corpus; None uses ``$F2V_DATA/NAME``.
        preset: size of the model.
        stage: stage to train; None trains all stages in order.
        ablate: part of the model to remove, or ``none``.
        base: folder of a training whose finished stages are reused.
        config: YAML file of settings on top of the preset.
        settings: ``NAME=VALUE`` settings on top of both.
        train_split: split to train on.
        val_split: split to validate on.
        seed: random seed.
        out: training folder; None uses ``training_dir``.
        trainer: settings of the Lightning trainer.
        workers: number of processes that prepare clips; None uses every core.
        progress: function called with a task, its finished items and all its items.
        log: function called with each message.

    Returns:
        Path of the exported weights, or None while a stage is not trained.

    Raises:
        F2VError: an unknown name, stage or setting, a missing corpus, or an unsuitable folder.
    """
    from f2v_bench.training.experiment import Experiment, TrainOptions, no_log, no_progress
    from f2v_bench.training.trainer import TrainerConfig, require_lightning

    require_lightning()
    setup_numba_cache()
    experiment_class: type[Experiment] = registry.EXPERIMENTS.load(model)
    if stage is not None and stage not in experiment_class.stages:
        raise F2VError(f"'{model}' has no stage '{stage}'", suggest(stage, experiment_class.stages))
    training = load_dataset(dataset, root=root, split=train_split)
    options = TrainOptions(
        folder=out or training_dir(model, dataset, ablate, seed),
        dataset=dataset,
        list_id=training.list_id,
        clips=training.clips(),
        validation=load_dataset(dataset, root=root, split=val_split).clips(),
        grammar=training.grammar,
        base=base,
        preset=preset,
        ablate=ablate,
        settings_file=config,
        settings=settings,
        seed=seed,
        processes=workers or build.default_workers(),
        hardware=trainer or TrainerConfig(),
        progress=progress or no_progress,
        log=log or no_log,
    )
    experiment = experiment_class(options)
    if stage and not experiment.needs(stage):
        options.log(f"with these settings there is nothing to train in the stage '{stage}'")
    for name in [stage] if stage else experiment_class.stages:
        experiment.train(name)
    return experiment.export()


def training_dir(model: str, dataset: str, ablate: str = "none", seed: int = 0) -> Path:
    """Return the default training folder: ``runs/train/MODEL-DATASET[-no-PART][-sSEED]``."""
    part = "" if ablate == "none" else f"-no-{ablate}"
    return Path("runs/train") / f"{model}-{dataset}{part}{f'-s{seed}' if seed else ''}"
