"""Contract of every registered model: training, export, resuming, batches, learning, refusal of unknown settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Batch
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import SpeakerReference, SystemOptions
from f2v_bench.training.experiment import TrainOptions
from f2v_bench.training.trainer import CHECKPOINT, trained_steps
from tests.models.small import Case, cases, module_class
from tests.reference_model.small import crops_of
from tests.training.staged import assert_batch_equals_single, power_cut, same_state, train_options, trained

pytestmark = pytest.mark.usefixtures("noise")


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training of a model.

    Attributes:
        case: the model.
        folder: folder of the training.
        batch: first batch of the main stage.
    """

    case: Case
    folder: Path
    batch: Batch

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"


def build_experiment(case: Case, folder: Path, **named: Any) -> Any:
    """Open a training of a model, with its earlier stages from ``base`` where it is given."""
    options: TrainOptions = train_options(folder, case.config, **named)
    return case.spec.experiment_class()(options)


@pytest.fixture(scope="module", params=cases(), ids=lambda case: case.spec.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, noise: None) -> Trained:
    """Train a model from the first stage to the last."""
    case: Case = request.param
    kind = module_class("main", case)
    step, batches = kind.training_step, []

    def recorded(self: Any, batch: Batch, index: int) -> Any:
        batches.append(batch)
        return step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "training_step", recorded)
        folder = trained(build_experiment(case, tmp_path_factory.mktemp("whole") / f"{case.spec.name}-demo"))
    return Trained(case, folder, batches[-1])


def test_a_training_ends_in_a_system(model: Trained) -> None:
    spec = model.case.spec
    checkpoint = spec.checkpoint(model.weights)
    assert checkpoint.config == model.case.config
    assert {note["steps"] for note in checkpoint.facts.stages.values()} == {4}
    assert set(model.case.own_stages) - {"audio"} <= set(checkpoint.facts.stages)
    for name in spec.names:
        system = SYSTEMS.load(name)(SystemOptions(weights=str(model.weights)))
        assert system.name == name
        assert system.speaker_reference == spec.voices[0]
        assert "5 clips" in system.provenance


def test_speech_is_as_long_as_the_video(model: Trained) -> None:
    spec = model.case.spec
    synthesizer = spec.build_synthesizer(spec.checkpoint(model.weights), {}, "cpu")
    voices = None if spec.voices[0] is SpeakerReference.FACE else list(np.eye(256, dtype=np.float32)[:2])
    rngs = [np.random.default_rng(at) for at in range(2)]
    for made, frames in zip(synthesizer.synthesize([crops_of(5), crops_of(2, 1)], rngs, voices), (5, 2), strict=True):
        assert made.shape == (640 * frames,)
        assert np.isfinite(made).all()


def test_a_batch_equals_one_by_one(model: Trained) -> None:
    spec = model.case.spec
    synthesizer = spec.build_synthesizer(spec.checkpoint(model.weights), {}, "cpu")
    with_voices = spec.voices[0] is not SpeakerReference.FACE
    assert_batch_equals_single(synthesizer, with_voices=with_voices, near=model.case.tolerance)


@pytest.mark.slow
def test_an_interrupted_training_resumes_to_equal_weights(model: Trained, tmp_path: Path) -> None:
    """Interrupt each stage of the model's own in step 3 of 4, between two checkpoints."""
    case = model.case
    for stage in case.own_stages:
        if not build_experiment(case, tmp_path / "killed", base=model.folder).needs(stage):
            continue
        with power_cut(3, module_class(stage, case)):
            build_experiment(case, tmp_path / "killed", base=model.folder).train(stage)
        assert trained_steps(tmp_path / "killed" / stage / CHECKPOINT) == 2
        torch.manual_seed(77)  # another process
        build_experiment(case, tmp_path / "killed", base=model.folder).train(stage)
        assert same_state(model.folder, tmp_path / "killed", stage), stage


@pytest.mark.slow
def test_one_batch_is_learned(model: Trained) -> None:
    """Sixty steps on one batch of noise bring the loss down by a tenth at least; sizes are tiny."""
    torch.manual_seed(0)
    network = model.case.spec.checkpoint(model.weights).model().requires_grad_(True).train()
    optimizer = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], lr=5e-3)
    losses = []
    for _ in range(60):
        loss = network.losses(model.batch)["loss"]
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5]), (losses[:5], losses[-5:])


def test_unknown_settings_are_refused_before_anything_is_written(model: Trained, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="there is no setting 'flaw'"):
        build_experiment(model.case, tmp_path / "new", settings=["flaw.steps=3"])
    with pytest.raises(F2VError, match="has no part 'eyes'"):
        build_experiment(model.case, tmp_path / "new", ablate="eyes")
    with pytest.raises(F2VError, match="has no preset 'gigantic'"):
        build_experiment(model.case, tmp_path / "new", preset="gigantic")
    assert not (tmp_path / "new").exists()
