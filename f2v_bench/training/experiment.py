"""Base class of the trainings: stages that ``f2v-bench train`` runs one after the other in a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from f2v_bench.errors import F2VError, suggest
from f2v_bench.training.trainer import TrainerConfig

if TYPE_CHECKING:
    from f2v_bench.clip import Clip

#: called with the name of the work, how much of it is done, and how much there is
ProgressCallback = Callable[[str, int, int], None]


def no_progress(_what: str, _done: int, _all: int) -> None:
    """Show no progress."""


def no_log(_message: str) -> None:
    """Log nothing."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Options of a training, from the command line.

    Attributes:
        folder: folder of checkpoints, settings and weights; a training in it is resumed.
        dataset: name of the corpus.
        list_id: list id of the training clips.
        clips: training clips.
        validation: validation clips.
        grammar: grammar of the corpus's sentences, for word error rates in validation.
        base: folder of another training, whose finished stages replace those that this one lacks.
        preset: name of the preset.
        ablate: part to leave out, or ``none``.
        settings_file: YAML file that overrides the preset.
        settings: ``a.b=value`` texts that override both.
        seed: seed of all random numbers.
        processes: processes that prepare clips.
        hardware: devices of the training.
        progress: callback for long work.
        log: callback for messages to the user.
    """

    folder: Path
    dataset: str
    list_id: str
    clips: Sequence[Clip]
    validation: Sequence[Clip]
    grammar: str | None = None
    base: Path | None = None
    preset: str = "tiny"
    ablate: str = "none"
    settings_file: Path | None = None
    settings: Sequence[str] = ()
    seed: int = 0
    processes: int = 1
    hardware: TrainerConfig = field(default_factory=TrainerConfig)
    progress: ProgressCallback = no_progress
    log: Callable[[str], None] = no_log


class Experiment(ABC):
    """Training of a model in stages.

    The constructor reads the settings.

    Raises:
        F2VError: settings that do not fit.
    """

    name: ClassVar[str]
    #: stages in their order
    stages: ClassVar[tuple[str, ...]]
    #: parts that ``--ablate`` can leave out
    parts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: TrainOptions) -> None:
        if options.ablate != "none" and options.ablate not in self.parts:
            raise F2VError(
                f"'{self.name}' has no part '{options.ablate}' that could be left out",
                suggest(options.ablate, self.parts),
            )
        self.options = options

    def needs(self, stage: str) -> bool:
        """Return True where a stage has something to train with these settings."""
        return True

    @abstractmethod
    def train(self, stage: str) -> None:
        """Train one stage, or resume it; a finished stage is left as it is.

        Raises:
            F2VError: earlier stages are missing, or the folder holds a training with other settings.
        """

    @abstractmethod
    def export(self) -> Path | None:
        """Write the weight file for synthesis into the folder; return None while a stage is missing."""
