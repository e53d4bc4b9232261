from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from f2v_bench.cli.console import TrainingProgressBars
from f2v_bench.registry import EXPERIMENTS
from f2v_bench.training.experiment import Experiment, TrainOptions
from f2v_bench.training.trainer import TrainerConfig
from tests.cli.conftest import Output
from tests.clips import write_clip

Command = Callable[..., Output]


class ToyExperiment(Experiment):
    """Experiment that records its options and stages."""

    name = "toy"
    stages = ("first", "second")
    parts = ("timbre",)
    given: TrainOptions
    trained: list[str]

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        ToyExperiment.given, ToyExperiment.trained = options, []

    def train(self, stage: str) -> None:
        self.options.progress("clips", 0, 2)
        self.options.progress("clips", 2, 2)
        self.trained.append(stage)

    def export(self) -> Path | None:
        return self.options.folder / "weights.safetensors" if len(self.trained) == 2 else None


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the experiment of this file."""
    point = EntryPoint("toy", f"{__name__}:ToyExperiment", EXPERIMENTS.group)
    monkeypatch.setitem(EXPERIMENTS._found(), "toy", point)


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[str, ...]:
    rows = ["clip_id,path,split"]
    for at, split in enumerate(("train", "train", "val")):
        write_clip(tmp_path / "corpus" / f"{at}.mp4", 0.4)
        rows.append(f"s/{at},{at}.mp4,{split}")
    (tmp_path / "corpus" / "clips.csv").write_text("\n".join(rows) + "\n")
    return ("train", "-m", "toy", "-d", "folder", "--data-root", str(tmp_path / "corpus" / "clips.csv"))


def test_an_unknown_part_cannot_be_ablated(f2v: Command, corpus: tuple[str, ...]) -> None:
    output = f2v(*corpus, "--ablate", "timbr")
    assert output.code == 2
    assert "'toy' has no part 'timbr'" in output.err
    assert "did you mean 'timbre'" in output.err


def test_every_stage_in_turn_into_a_folder_of_its_own(f2v: Command, corpus: tuple[str, ...]) -> None:
    output = f2v(*corpus)
    assert output.code == 0
    assert ToyExperiment.trained == ["first", "second"]
    given = ToyExperiment.given
    assert [clip.id for clip in given.clips] == ["s/0", "s/1"]
    assert [clip.id for clip in given.validation] == ["s/2"]
    assert given.folder == Path("runs/train/toy-folder")
    assert output.out.strip() == str(given.folder / "weights.safetensors")
    assert "clips: 2 clips" in output.err


def test_options_reach_the_experiment(f2v: Command, corpus: tuple[str, ...], tmp_path: Path) -> None:
    words = (
        *("--stage", "second", "--ablate", "timbre", "--seed", "3", "--preset", "base", "--from", "older"),
        *("--set", "a.b=1", "--set", "c=2", "--config", "x.yaml", "--workers", "1", "--loaders", "4"),
        *("--accelerator", "gpu", "--devices", "8", "--nodes", "2", "--strategy", "ddp"),
    )
    output = f2v(*corpus, *words)
    assert output.code == 0
    assert ToyExperiment.trained == ["second"]
    assert "not all stages are trained yet" in output.out
    given = ToyExperiment.given
    assert given.folder == Path("runs/train/toy-folder-no-timbre-s3")
    assert (given.ablate, given.seed, given.preset, given.base) == ("timbre", 3, "base", Path("older"))
    assert (list(given.settings), given.settings_file, given.processes) == (["a.b=1", "c=2"], Path("x.yaml"), 1)
    assert given.hardware == TrainerConfig("gpu", "8", 2, "ddp", 4)
    f2v(*corpus, "-o", tmp_path / "here")
    assert ToyExperiment.given.folder == tmp_path / "here"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--stage", "frist"], "did you mean 'first'"),
        (["-m", "unknown"], "there is no model called 'unknown'"),
        (["--val-split", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage_is_one_message(f2v: Command, corpus: tuple[str, ...], words: list[str], what: str) -> None:
    output = f2v(*corpus, *words)
    assert output.code == 2
    assert what in output.err.replace("\n", " ")


def test_bars_are_stopped_between_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then treats any stream as a terminal
    with TrainingProgressBars() as bars:
        assert bars._progress is not None
        for what in ("clips", "features"):
            bars.update(what, 0, 3)
            assert bars._progress.live.is_started
            bars.update(what, 3, 3)
            assert not bars._progress.live.is_started
