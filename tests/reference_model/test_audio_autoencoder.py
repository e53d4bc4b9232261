"""Audio pre-training of the mel decoder: the autoencoder, the shared decoder, and the stage."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from f2v_bench.clip import Waveform
from f2v_bench.config import as_mapping
from f2v_bench.errors import F2VError
from f2v_bench.media import write_audio
from f2v_bench.modeling.audio_encoder import BottleneckConfig, PretrainingConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.training.audio_checkpoint import read_pretrained, write_pretrained
from f2v_bench.training.audio_pretraining import FILE
from f2v_bench.training.experiment import TrainOptions
from reference_model.audio_autoencoder import AudioAutoencoder, load_pretrained
from reference_model.config import FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics, MelDecoder
from reference_model.model import FacesToVoices
from reference_model.spec import SPEC
from reference_model.train import FacesToVoicesExperiment
from tests.clips import RATE, babble
from tests.nn.test_transformer import awake
from tests.reference_model.small import SMALL, STATISTICS, alone, batch_of, earlier_name
from tests.training.staged import GROUND, STAGE, power_cut, same_state, train_options, trained

TINIEST = ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5)
PRETRAINING: dict[str, Any] = {
    "transfer": "init",
    "audio_encoder": TINIEST,
    "bottleneck": BottleneckConfig(channels=4),
    "pretraining": PretrainingConfig(segment=8),
    "audio_stage": STAGE,
}
CONFIG = replace(SMALL, **GROUND, **PRETRAINING)


@pytest.fixture
def autoencoder() -> AudioAutoencoder:
    return awake(AudioAutoencoder(CONFIG, STATISTICS))


def test_a_clip_alone_is_the_clip_in_a_batch(autoencoder: AudioAutoencoder) -> None:
    batch = batch_of([5, 9, 2])
    noise = torch.randn(3, 36, 80)
    both = autoencoder.synthesize(batch, noise).mel
    for at, length in enumerate((5, 9, 2)):
        one = autoencoder.synthesize(alone(batch, at), noise[at : at + 1, : 4 * length]).mel
        torch.testing.assert_close(both[at : at + 1, : 4 * length], one, atol=1e-4, rtol=1e-4)


def test_its_inputs_are_mel_speaker_and_the_true_contours(autoencoder: AudioAutoencoder) -> None:
    batch = batch_of([8])
    noise = torch.randn(1, 32, 80)
    mel = autoencoder.synthesize(batch, noise).mel
    for name in ("mel", "speaker", "f0", "energy"):
        changed = batch | {name: batch[name].flip(1)}
        assert not torch.allclose(mel, autoencoder.synthesize(changed, noise).mel), name
    unused = {name: torch.zeros_like(batch[name]) for name in ("features", "face", "identity")}
    assert torch.equal(mel, autoencoder.synthesize(batch | unused, noise).mel)


def test_its_losses_are_prior_and_flow(autoencoder: AudioAutoencoder) -> None:
    parts = autoencoder.losses(batch_of([5, 9]))
    assert set(parts) == {"prior", "flow", "loss"}
    parts["loss"].backward()
    assert all(one.grad is not None for one in autoencoder.parameters())  # training on several devices needs it


def test_both_models_own_the_same_decoder(autoencoder: AudioAutoencoder) -> None:
    model = FacesToVoices(CONFIG, STATISTICS)
    assert type(autoencoder.decoder) is type(model.decoder) is MelDecoder
    shapes, others = ({n: t.shape for n, t in one.decoder.state_dict().items()} for one in (autoencoder, model))
    assert shapes == others
    assert {name for name in autoencoder.state_dict() if not name.startswith("audio_frontend.")} == {
        f"decoder.{name}" for name in shapes
    }


def test_the_whole_decoder_and_nothing_else_is_initialized(autoencoder: AudioAutoencoder, tmp_path: Path) -> None:
    write_pretrained(tmp_path / FILE, SPEC.name, CONFIG, asdict(STATISTICS), "2 h of noise", autoencoder.state_dict())
    found = read_pretrained(tmp_path / FILE, SPEC.name, CONFIG, FacesToVoicesExperiment.sizes)
    assert DataStatistics(**found.statistics) == STATISTICS
    model = FacesToVoices(CONFIG, STATISTICS)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    load_pretrained(found, model)
    pretrained = autoencoder.state_dict()
    for name, tensor in model.state_dict().items():
        expected = pretrained[name] if name.startswith("decoder.") else before[name]
        assert torch.equal(tensor, expected), name
    other = replace(CONFIG, flow=replace(CONFIG.flow, heads=4))
    with pytest.raises(F2VError, match=r"other settings under 'flow.heads': 2, not 4"):
        read_pretrained(tmp_path / FILE, SPEC.name, other, FacesToVoicesExperiment.sizes)


def test_a_decoder_with_names_of_the_earlier_version_is_read(autoencoder: AudioAutoencoder, tmp_path: Path) -> None:
    state = autoencoder.state_dict()
    earlier = {earlier_name(name): tensor.clone() for name, tensor in state.items()}
    assert {"fusion.mlp.0.weight", "prosody.embed.bias", "flow.decoder.enter.weight"} <= earlier.keys()
    settings = as_mapping(CONFIG)
    settings["listening"] = settings.pop("audio_encoder")
    head = {"format": 2, "system": "ours", "config": settings, "standard": asdict(STATISTICS), "heard": "2 h"}
    save_file(earlier, tmp_path / FILE, metadata={"audio_decoder": json.dumps(head)})
    model, sizes = FacesToVoices(CONFIG, STATISTICS), FacesToVoicesExperiment.sizes
    load_pretrained(read_pretrained(tmp_path / FILE, SPEC.name, CONFIG, sizes, SPEC.renamed_keys, SPEC.aliases), model)
    for name, tensor in model.decoder.state_dict().items():
        assert torch.equal(tensor, state[f"decoder.{name}"]), name


# -- trainings ---------------------------------------------------------------------------------------------------------


pytestmark = pytest.mark.usefixtures("noise")


def experiment(folder: Path, config: FacesToVoicesConfig = CONFIG, **named: Any) -> FacesToVoicesExperiment:
    return FacesToVoicesExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    return trained(experiment(tmp_path_factory.mktemp("whole") / "ours-demo"))


def test_the_provenance_of_the_weights_names_the_pre_training(whole: Path) -> None:
    weights = SPEC.checkpoint(whole / "weights.safetensors")
    assert "decoder (init) pre-trained on the sound of the same clips" in weights.provenance
    assert set(weights.facts.stages) == {"lips", "vocoder", "audio", "main"}
    found = read_pretrained(whole / FILE, SPEC.name, CONFIG, FacesToVoicesExperiment.sizes)
    assert weights.statistics["pitch"] == pytest.approx(found.statistics["pitch"])


@pytest.mark.slow
def test_a_killed_pre_training_resumes_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    with power_cut(3):
        experiment(tmp_path / "killed", base=whole).train("audio")
    torch.manual_seed(77)  # another process
    experiment(tmp_path / "killed", base=whole).train("audio")
    assert same_state(whole, tmp_path / "killed", "audio")


def test_a_folder_gives_mels_and_contours(tmp_path: Path) -> None:
    for at in range(3):
        write_audio(tmp_path / "speech" / f"{at}.wav", Waveform(babble(1.0, at), RATE))
    config = replace(CONFIG, pretraining=PretrainingConfig(folder=str(tmp_path / "speech"), segment=8))
    training = experiment(tmp_path / "t", config)
    example = training.audio.load(0, np.random.default_rng(0))
    assert {name: len(one) for name, one in example.sequences.items()} == dict.fromkeys(("mel", "f0", "energy"), 32)
    training.train("audio")
    trained_on = read_pretrained(tmp_path / "t" / FILE, SPEC.name, config, training.sizes).trained_on
    assert trained_on.endswith(f"h of '{tmp_path / 'speech'}', 4 steps")


def test_without_a_transfer_there_is_no_audio_stage(tmp_path: Path) -> None:
    training = experiment(tmp_path / "t", replace(CONFIG, transfer="scratch"))
    assert not training.needs("audio")
    training.train("audio")
    assert not (tmp_path / "t" / "audio").exists()


def test_an_ablated_model_cannot_use_it(tmp_path: Path) -> None:
    options: TrainOptions = train_options(tmp_path / "t", CONFIG)
    with pytest.raises(F2VError, match="does not fit a model without timbre"):
        FacesToVoicesExperiment(replace(options, ablate="timbre"))
