"""The reference model's decoder hears speech first: the autoencoder, what it hands over, and the stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2v_bench.clip import Waveform
from f2v_bench.errors import F2VError
from f2v_bench.media import write_audio
from f2v_bench.modeling.audio_encoder import BottleneckConfig, PretrainingConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.training.audio_checkpoint import read_pretrained, write_pretrained
from f2v_bench.training.audio_pretraining import FILE
from f2v_bench.training.experiment import TrainOptions
from reference_model.audio_autoencoder import HANDED_OVER, AudioAutoencoder, load_pretrained
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.spec import Weights
from reference_model.train import FacesToVoicesExperiment
from tests.clips import RATE, babble
from tests.nn.test_transformer import awake
from tests.reference_model.small import SMALL, STANDARD, alone, batch_of
from tests.training.staged import GROUND, STAGE, power_cut, same_state, train_options, trained

TINIEST = ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5)
HEARING: dict[str, Any] = {
    "transfer": "init",
    "listening": TINIEST,
    "bottleneck": BottleneckConfig(channels=4),
    "pretraining": PretrainingConfig(segment=8),
    "audio_stage": STAGE,
}
CONFIG = replace(SMALL, **GROUND, **HEARING)


@pytest.fixture
def heard() -> AudioAutoencoder:
    return awake(AudioAutoencoder(CONFIG, STANDARD))


def test_a_clip_alone_is_the_clip_in_a_batch(heard: AudioAutoencoder) -> None:
    batch = batch_of([5, 9, 2])
    noise = torch.randn(3, 36, 80)
    both = heard.synthesize(batch, noise)
    for at, length in enumerate((5, 9, 2)):
        one = heard.synthesize(alone(batch, at), noise[at : at + 1, : 4 * length])
        torch.testing.assert_close(both[at : at + 1, : 4 * length], one, atol=1e-4, rtol=1e-4)


def test_it_is_told_what_is_heard_and_the_true_contours(heard: AudioAutoencoder) -> None:
    batch = batch_of([8])
    noise = torch.randn(1, 32, 80)
    said = heard.synthesize(batch, noise)
    for name in ("mel", "speaker", "f0", "energy"):
        assert not torch.allclose(said, heard.synthesize(batch | {name: batch[name].flip(1)}, noise)), name
    unseen = {name: torch.zeros_like(batch[name]) for name in ("features", "face", "identity")}
    assert torch.equal(said, heard.synthesize(batch | unseen, noise))


def test_it_learns_of_prior_and_flow_alone(heard: AudioAutoencoder) -> None:
    parts = heard.losses(batch_of([5, 9]))
    assert set(parts) == {"prior", "flow", "loss"}
    parts["loss"].backward()
    assert all(one.grad is not None for one in heard.parameters())  # several devices want that


def test_everything_after_content_is_handed_over(heard: AudioAutoencoder, tmp_path: Path) -> None:
    standard = {name: getattr(STANDARD, name) for name in ("mel", "pitch", "energy")}
    write_pretrained(tmp_path / FILE, "ours", CONFIG, standard, "2 h of noise", heard.state_dict())
    found = read_pretrained(tmp_path / FILE, "ours", CONFIG, FacesToVoicesExperiment.sizes)
    assert DataStatistics(**found.standard) == STANDARD
    model = FacesToVoices(CONFIG, STANDARD)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    load_pretrained(found, model)
    theirs = heard.state_dict()
    for name, tensor in model.state_dict().items():
        if name.startswith(tuple(f"{part}." for part in HANDED_OVER)):
            assert torch.equal(tensor, theirs[name]), name
        else:
            assert torch.equal(tensor, before[name]), name
    assert {name for name in theirs if not name.startswith("hearing.")} <= set(before)
    other = replace(CONFIG, flow=replace(CONFIG.flow, heads=4))
    with pytest.raises(F2VError, match=r"other settings under 'flow.heads': 2, not 4"):
        read_pretrained(tmp_path / FILE, "ours", other, FacesToVoicesExperiment.sizes)


# -- trainings ---------------------------------------------------------------------------------------------------------


pytestmark = pytest.mark.usefixtures("noise")


def trainee(folder: Path, config: FacesToVoicesConfig = CONFIG, **named: Any) -> FacesToVoicesExperiment:
    return FacesToVoicesExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    return trained(trainee(tmp_path_factory.mktemp("whole") / "ours-demo"))


def test_the_weights_say_that_the_decoder_has_heard_first(whole: Path) -> None:
    weights = Weights(whole / "weights.safetensors")
    assert "decoder (init) pre-trained on the sound of the same clips" in weights.provenance
    assert set(weights.facts.stages) == {"lips", "vocoder", "audio", "main"}
    found = read_pretrained(whole / FILE, "ours", CONFIG, FacesToVoicesExperiment.sizes)
    assert weights.standard["pitch"] == pytest.approx(found.standard["pitch"])


def test_a_killed_pre_training_goes_on_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    with power_cut(3):
        trainee(tmp_path / "killed", base=whole).train("audio")
    torch.manual_seed(77)  # another process
    trainee(tmp_path / "killed", base=whole).train("audio")
    assert same_state(whole, tmp_path / "killed", "audio")


def test_a_folder_is_heard_with_its_contours(tmp_path: Path) -> None:
    for at in range(3):
        write_audio(tmp_path / "speech" / f"{at}.wav", Waveform(babble(1.0, at), RATE))
    config = replace(CONFIG, pretraining=PretrainingConfig(folder=str(tmp_path / "speech"), segment=8))
    training = trainee(tmp_path / "t", config)
    item = training.sounds.load(0, np.random.default_rng(0))
    assert {name: len(one) for name, one in item.sequences.items()} == dict.fromkeys(("mel", "f0", "energy"), 32)
    training.train("audio")
    heard = read_pretrained(tmp_path / "t" / FILE, "ours", config, training.sizes).heard
    assert heard.endswith(f"h of '{tmp_path / 'speech'}', 4 steps")


def test_without_a_transfer_nothing_is_heard(tmp_path: Path) -> None:
    training = trainee(tmp_path / "t", replace(CONFIG, transfer="scratch"))
    assert not training.needs("audio")
    training.train("audio")
    assert not (tmp_path / "t" / "audio").exists()


def test_an_ablated_model_has_no_place_for_it(tmp_path: Path) -> None:
    options: TrainOptions = train_options(tmp_path / "t", CONFIG)
    with pytest.raises(F2VError, match="does not fit a model without timbre"):
        FacesToVoicesExperiment(replace(options, ablate="timbre"))
