"""What ``f2v-bench train`` asks of a model: stages, trained one after the other into a folder."""

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

#: called with what is being done, how much of it is done, and how much there is
ProgressCallback = Callable[[str, int, int], None]


def no_progress(_what: str, _done: int, _all: int) -> None:
    """Watch nothing."""


def no_notice(_what: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What a command line says to a training.

    Attributes:
        folder: where checkpoints, settings and weights go; one that holds a training is gone on with.
        dataset: its name.
        list_id: of the training clips.
        clips: to train on.
        validation: to validate on.
        grammar: of the corpus's sentences, for word error rates on the way.
        base: folder of another training whose finished stages are used where this one has none of its own.
        preset: size of the model.
        ablate: a part to leave out, or ``none``.
        settings_file: YAML on top of the preset.
        settings: ``a.b=value`` on top of both.
        seed: of everything drawn.
        processes: that prepare clips.
        hardware: where to train.
        watcher: is told of long work.
        notice: is told, in a sentence, what a person should know.
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
    watcher: ProgressCallback = no_progress
    notice: Callable[[str], None] = no_notice


class Experiment(ABC):
    """A model that can be trained. The constructor reads the settings and refuses what does not fit."""

    name: ClassVar[str]
    #: in the order in which they are trained
    stages: ClassVar[tuple[str, ...]]
    #: what ``--ablate`` can leave out
    parts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: TrainOptions) -> None:
        if options.ablate != "none" and options.ablate not in self.parts:
            raise F2VError(
                f"'{self.name}' has no part '{options.ablate}' that could be left out",
                suggest(options.ablate, self.parts),
            )
        self.options = options

    def needs(self, stage: str) -> bool:
        """Whether there is anything to train in a stage, with these settings."""
        return True

    @abstractmethod
    def train(self, stage: str) -> None:
        """Train one stage, or go on with it; a finished one is left as it is.

        Raises:
            F2VError: the stages before it are not there, or the folder holds a training of other settings.
        """

    @abstractmethod
    def export(self) -> Path | None:
        """Write what synthesis needs into one file of the folder; None while a stage is missing."""
