"""The whole training: stages in one folder, resumed after a kill, and bases of ablations."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.training import staged_experiment as module
from f2v_bench.training.trainer import CHECKPOINT, trained_steps
from reference_model.spec import SPEC
from reference_model.train import FacesToVoicesExperiment
from tests.reference_model.small import SMALL
from tests.training.staged import STAGE, power_cut, refuse, same_state, state, train_options
from tests.training.toys import demo_clips, toy_prepared

CONFIG = replace(SMALL, lips_stage=STAGE, vocoder_stage=STAGE, main_stage=STAGE)


pytestmark = pytest.mark.usefixtures("noise")


def experiment(folder: Path, config: Any = CONFIG, **named: Any) -> FacesToVoicesExperiment:
    return FacesToVoicesExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Train from the first stage to the last."""
    folder = tmp_path_factory.mktemp("whole") / "ours-demo"
    training = experiment(folder)
    for stage in FacesToVoicesExperiment.stages:
        assert training.export() is None
        training.train(stage)
    assert training.export() == folder / "weights.safetensors"
    return folder


def test_a_training_ends_in_weights_with_the_facts_of_the_training(whole: Path) -> None:
    weights = SPEC.checkpoint(whole / "weights.safetensors")
    facts = weights.facts
    assert weights.config == CONFIG
    assert (facts.name, facts.dataset, facts.list_id, facts.clips) == ("ours-demo", "demo", "demo/train", 5)
    assert {stage: noted["steps"] for stage, noted in facts.stages.items()} == dict.fromkeys(
        ("lips", "vocoder", "main"), 4
    )
    assert all(noted["seconds"] > 0 for noted in facts.stages.values())
    average = {name.removeprefix("ema.average."): one for name, one in state(whole).items() if "ema.average." in name}
    for name, tensor in weights.model().state_dict().items():
        torch.testing.assert_close(tensor, average[name], atol=1e-6, rtol=1e-3)
    assert weights.vocoder() is not None
    assert yaml.safe_load((whole / "settings.yaml").read_text())["trained_on"] == "demo/train"


def test_a_second_training_does_nothing(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.ckpt")}
    sha = SPEC.checkpoint(whole / "weights.safetensors").sha256
    notes = (whole / "stages.json").read_text()
    monkeypatch.setattr(module, "fit", refuse)
    training = experiment(whole)
    for stage in FacesToVoicesExperiment.stages:
        training.train(stage)
    exported = training.export()
    assert exported is not None
    assert SPEC.checkpoint(exported).sha256 == sha
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.ckpt")} == before
    assert (whole / "stages.json").read_text() == notes


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    """Killed in step 3 of 4, between two checkpoints; with the base's other stages, as after a kill of the first."""
    folder = tmp_path / "killed"
    with power_cut(3):
        experiment(folder, base=whole).train("main")
    assert trained_steps(folder / "main" / CHECKPOINT) == 2
    assert json.loads((folder / "stages.json").read_text())["main"]["steps"] == 2
    torch.manual_seed(77)  # another process
    experiment(folder, base=whole).train("main")
    assert same_state(whole, folder)


def test_initial_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    states = []
    for at, seed in enumerate((0, 0, 1)):
        torch.manual_seed(at)  # whatever was drawn before
        experiment(tmp_path / str(at), seed=seed).train("lips")
        states.append(state(tmp_path / str(at), "lips"))
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert not torch.equal(states[0]["network.units.weight"], states[2]["network.units.weight"])


@pytest.mark.slow
def test_an_ablation_uses_the_stages_of_its_base(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "no-timbre"
    training = experiment(folder, base=whole, ablate="timbre", seed=5)
    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", refuse)
        training.train("lips")
        training.train("vocoder")
        assert training.export() is None  # the base's main stage is another model
    training.train("main")
    weights = training.export()
    assert weights is not None
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["main"]
    assert SPEC.checkpoint(weights).config.ablate == "timbre"
    assert SPEC.checkpoint(weights).facts.stages.keys() == {"lips", "vocoder", "main"}
    assert SPEC.checkpoint(weights).model().timbre is None
    ours, base = (SPEC.checkpoint(one / "weights.safetensors").lip_encoder().state_dict() for one in (folder, whole))
    assert all(torch.equal(tensor, base[name]) for name, tensor in ours.items())


def test_a_stage_needs_those_before_it(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match=r"the stage 'lips' .* has 0 of 4 steps") as error:
        experiment(tmp_path / "new").train("main")
    assert "--stage lips" in error.value.do


def test_an_unfit_base_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="is not the directory of a training"):
        experiment(tmp_path / "a", base=tmp_path / "nothing")
    wider = replace(CONFIG, vocoder=replace(CONFIG.vocoder, width=16))
    with pytest.raises(F2VError, match="other settings under 'vocoder'"):
        experiment(tmp_path / "b", wider, base=whole)
    base = tmp_path / "base"
    (base / "lips").mkdir(parents=True)
    longer = yaml.safe_load((whole / "settings.yaml").read_text())
    longer["lips_stage"]["steps"] = 9
    (base / "settings.yaml").write_text(yaml.safe_dump(longer))
    (base / "lips" / CHECKPOINT).write_bytes((whole / "lips" / CHECKPOINT).read_bytes())
    with pytest.raises(F2VError, match="has 4 of 9 steps"):  # its training is not complete
        experiment(tmp_path / "c", base=base).train("lips")


@pytest.mark.parametrize(
    ("changes", "named", "what"),
    [
        ({"content": replace(CONFIG.content, width=24)}, {}, "content"),
        ({"main_stage": replace(STAGE, batch=3)}, {}, "main_stage"),
        ({"lips_stage": replace(STAGE, learning_rate=1e-2)}, {}, "lips_stage"),
        ({}, {"seed": 1}, "seed"),
        ({}, {"list_id": "demo/other"}, "trained_on"),
        ({}, {"ablate": "prosody"}, "ablate"),
    ],
)
def test_a_folder_of_other_settings_is_refused(
    changes: dict[str, Any], named: dict[str, Any], what: str, tmp_path: Path
) -> None:
    folder = tmp_path / "ours"
    experiment(folder)
    before = (folder / "settings.yaml").read_text()
    with pytest.raises(F2VError, match=f"other settings under '{what}'"):
        experiment(folder, replace(CONFIG, **changes), **named)
    assert (folder / "settings.yaml").read_text() == before
    experiment(folder, replace(CONFIG, main_stage=replace(STAGE, steps=99)))  # a longer training is the same one


def test_a_training_with_more_steps_resumes_at_its_end(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grown"
    experiment(folder).train("lips")
    longer = replace(CONFIG, lips_stage=replace(STAGE, steps=6))
    experiment(folder, longer).train("lips")
    assert trained_steps(folder / "lips" / CHECKPOINT) == 6
    assert json.loads((folder / "stages.json").read_text())["lips"]["steps"] == 6


def command(folder: Path, *words: object) -> str:
    """Return the output of ``f2v-bench`` in a process of its own, without the noise corpus."""
    call = [sys.executable, "-m", "f2v_bench", *map(str, words)]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_six_clips_from_video_to_scored_speech(tmp_path: Path) -> None:
    """Real clips through every stage by the command line, then synthesis of two of them."""
    rows = ["clip_id,path,split,transcript"]
    for at, clip in enumerate(demo_clips(6)):
        shutil.copy(clip.video, tmp_path / f"{at}.mp4")
        rows.append(f"{clip.id},{at}.mp4,{'train' if at < 4 else 'test'},{clip.text}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    settings = as_mapping(CONFIG)
    del settings["ablate"]
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(settings))
    corpus = ("-d", "folder", "--data-root", "clips.csv")
    words = (
        "train", *corpus, "--val-split", "test", "-o", "ours", "--config", "small.yaml", "--accelerator", "cpu",
        "--workers", "1",
    )  # fmt: skip
    weights = tmp_path / "ours" / "weights.safetensors"
    assert "weights.safetensors" in command(tmp_path, *words)
    first = weights.read_bytes()
    command(tmp_path, *words)
    assert weights.read_bytes() == first
    output = command(
        tmp_path, "run", "-m", "ours", "--weights", weights, *corpus, "--metrics", "stoi", "--no-faces", "-o", "run"
    )  # fmt: skip
    assert "2/2" in output
    assert len(list((tmp_path / "run" / "audio" / "ours").rglob("*.flac"))) == 2


def test_a_stage_may_get_more_steps_and_validations(tmp_path: Path) -> None:
    experiment(tmp_path / "ours")
    longer = replace(STAGE, steps=9, validate_every=3, validate_clips=1)
    experiment(tmp_path / "ours", replace(CONFIG, main_stage=longer))
    assert yaml.safe_load((tmp_path / "ours" / "settings.yaml").read_text())["main_stage"]["steps"] == 9


def test_unusable_clips_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first few by name, the others by number."""
    ready = toy_prepared(tmp_path, [9])
    failures = {f"s/{at}": "no_face: nobody" for at in range(7)}
    monkeypatch.setattr(module, "prepare", lambda *_: replace(ready, failures=failures))
    messages: list[str] = []
    one = experiment(tmp_path / "out", log=messages.append)
    assert len(one.clips) == 1
    (message,) = messages
    assert message.startswith("training clips: 7 of 2 are left out: s/0 no_face: nobody; ")
    assert message.endswith("s/4 no_face: nobody; and 2 more")
