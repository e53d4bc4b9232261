from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from f2v_bench.cli.train import _Bars
from f2v_bench.errors import F2VError
from f2v_bench.registry import EXPERIMENTS
from f2v_bench.training.experiment import Experiment, TrainOptions
from f2v_bench.training.trainer import TrainerConfig
from tests.cli.conftest import Said
from tests.clips import write_clip

Command = Callable[..., Said]


class Pupil(Experiment):
    """A model that remembers what it was told."""

    name = "pupil"
    stages = ("first", "second")
    parts = ("timbre",)
    told: TrainOptions
    trained: list[str]

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options)
        Pupil.told, Pupil.trained = options, []

    def train(self, stage: str) -> None:
        self.options.watcher("clips", 0, 2)
        self.options.watcher("clips", 2, 2)
        self.trained.append(stage)

    def export(self) -> Path | None:
        return self.options.folder / "weights.safetensors" if len(self.trained) == 2 else None


@pytest.fixture(autouse=True)
def pupil(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> type[Experiment]:
        if name == "pupil":
            return Pupil
        raise F2VError(f"there is no model called '{name}'")

    monkeypatch.setattr(EXPERIMENTS, "load", load)


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[str, ...]:
    rows = ["clip_id,path,split"]
    for at, split in enumerate(("train", "train", "val")):
        write_clip(tmp_path / "corpus" / f"{at}.mp4", 0.4)
        rows.append(f"s/{at},{at}.mp4,{split}")
    (tmp_path / "corpus" / "clips.csv").write_text("\n".join(rows) + "\n")
    return ("train", "-m", "pupil", "-d", "folder", "--data-root", str(tmp_path / "corpus" / "clips.csv"))


def test_a_part_that_a_model_does_not_have_cannot_be_left_out(f2v: Command, corpus: tuple[str, ...]) -> None:
    said = f2v(*corpus, "--ablate", "timbr")
    assert said.code == 2
    assert "'pupil' has no part 'timbr'" in said.err
    assert "did you mean 'timbre'" in said.err


def test_every_stage_in_turn_into_a_folder_of_its_own(f2v: Command, corpus: tuple[str, ...]) -> None:
    said = f2v(*corpus)
    assert said.code == 0
    assert Pupil.trained == ["first", "second"]
    told = Pupil.told
    assert [clip.id for clip in told.clips] == ["s/0", "s/1"]
    assert [clip.id for clip in told.validation] == ["s/2"]
    assert told.folder == Path("runs/train/pupil-folder")
    assert said.out.strip() == str(told.folder / "weights.safetensors")
    assert "clips: 2 clips" in said.err


def test_what_the_command_line_says_arrives(f2v: Command, corpus: tuple[str, ...], tmp_path: Path) -> None:
    words = (
        *("--stage", "second", "--ablate", "timbre", "--seed", "3", "--preset", "base", "--from", "older"),
        *("--set", "a.b=1", "--set", "c=2", "--config", "x.yaml", "--workers", "1", "--loaders", "4"),
        *("--accelerator", "gpu", "--devices", "8", "--nodes", "2", "--strategy", "ddp"),
    )
    said = f2v(*corpus, *words)
    assert said.code == 0
    assert Pupil.trained == ["second"]
    assert "not all stages are trained yet" in said.out
    told = Pupil.told
    assert told.folder == Path("runs/train/pupil-folder-no-timbre-s3")
    assert (told.ablate, told.seed, told.preset, told.base) == ("timbre", 3, "base", Path("older"))
    assert (list(told.settings), told.settings_file, told.processes) == (["a.b=1", "c=2"], Path("x.yaml"), 1)
    assert told.hardware == TrainerConfig("gpu", "8", 2, "ddp", 4)
    f2v(*corpus, "-o", tmp_path / "here")
    assert Pupil.told.folder == tmp_path / "here"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--stage", "frist"], "did you mean 'first'"),
        (["-m", "teacher"], "there is no model called 'teacher'"),
        (["--val-split", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage_is_one_message(f2v: Command, corpus: tuple[str, ...], words: list[str], what: str) -> None:
    said = f2v(*corpus, *words)
    assert said.code == 2
    assert what in said.err.replace("\n", " ")


def test_bars_are_off_the_screen_while_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    with _Bars() as bars:
        assert bars._progress is not None
        for what in ("clips", "features"):
            bars.watch(what, 0, 3)
            assert bars._progress.live.is_started
            bars.watch(what, 3, 3)
            assert not bars._progress.live.is_started
