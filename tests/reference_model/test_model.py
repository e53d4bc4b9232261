"""The whole model: padding, ablations, speaker embeddings, losses, guidance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.batch import Batch
from reference_model.ablations import FlatFacesToVoices, model_class
from reference_model.config import PRESETS, Ablation, preset
from reference_model.mel_decoder import DataStatistics, DecoderInputs
from reference_model.model import FacesToVoices
from reference_model.prosody import Contours
from tests.nn.test_transformer import awake, seeded
from tests.reference_model.small import ABLATIONS, SMALL, STATISTICS, alone, batch_of, small, small_any, small_flat

STAGES = {"units", "units_masked", "timbre", "pitch_stats", "pitch", "voicing", "energy"}
OF_ABLATION: dict[Ablation, set[str]] = {
    "none": STAGES,
    "hierarchy": set(),
    "timbre": STAGES - {"timbre"},
    "prosody": {"units", "units_masked", "timbre"},
}

WITH_STAGES: tuple[Ablation, ...] = ("none", "timbre", "prosody")


def noise_for(batch: Batch, seed: int = 0) -> torch.Tensor:
    clips, frames = batch["mask"].shape
    return torch.randn(clips, 4 * frames, 80, generator=seeded(seed))


def inputs_of(model: FacesToVoices | FlatFacesToVoices, batch: Batch) -> DecoderInputs:
    """Return the condition of the flow at synthesis."""
    inputs: DecoderInputs = model(batch) if isinstance(model, FlatFacesToVoices) else model(batch).inputs
    return inputs


def moved(model: FacesToVoices | FlatFacesToVoices, batch: Batch, **changes: torch.Tensor) -> float:
    """Return the largest change of mu and the features when a part of the batch changes."""
    before, after = inputs_of(model, batch), inputs_of(model, batch | changes)
    return max(float((a - b).abs().max()) for a, b in zip(before[:2], after[:2], strict=True))


@contextmanager
def recorded(owner: nn.Module, name: str) -> Iterator[list[tuple[Any, ...]]]:
    """Record the inputs of a submodule."""
    calls: list[tuple[Any, ...]] = []
    hook = owner.get_submodule(name).register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    yield calls
    hook.remove()


@pytest.mark.parametrize("ablate", ABLATIONS)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=3), beyond=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=6)
@torch.no_grad()
def test_padding_changes_nothing(ablate: Ablation, lengths: list[int], beyond: int, seed: int) -> None:
    model, batch = small_any(ablate, seed=seed), batch_of(lengths, beyond, seed)
    noise = noise_for(batch, seed)
    together, output = inputs_of(model, batch), model.synthesize(batch, noise)
    for clip, length in enumerate(lengths):
        one, fine = alone(batch, clip), slice(0, 4 * length)
        apart, of = inputs_of(model, one), slice(clip, clip + 1)
        assert apart.mu.std() > 0.1  # a constant output would pass as well
        torch.testing.assert_close(together.mu[of, fine], apart.mu, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.features[of, fine], apart.features, atol=1e-5, rtol=1e-5)
        once = model.synthesize(one, noise[of, fine])
        assert once.mel.shape == (1, 4 * length, 80)
        for field, alone_field in zip(output, once, strict=True):
            if field is not None:
                torch.testing.assert_close(field[of, fine], alone_field, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ablate", WITH_STAGES)
@torch.no_grad()
def test_padding_changes_no_condition_in_training(ablate: Ablation) -> None:
    model, batch = small(ablate), batch_of([7, 4], 2)
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))
    together = model(batch, training=True).inputs
    for clip in range(2):
        apart = model(alone(batch, clip), training=True).inputs
        torch.testing.assert_close(together.mu[clip : clip + 1, : apart.mu.shape[1]], apart.mu, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["unet", "dit"])
@torch.no_grad()
def test_a_guidance_of_one_is_the_conditional_field(decoder: str) -> None:
    model, batch = small(decoder=decoder, statistics=DataStatistics()), batch_of([6, 4])
    noise, inputs = noise_for(batch), model(batch).inputs
    t = torch.zeros(2)
    field = model.decoder.flow.velocity_net(0.5 * noise, t, *inputs)
    wanted = (0.5 * noise + field) * inputs.mask[..., None]
    mel = model.synthesize(batch, noise, steps=1, solver="euler", guidance=1.0, temperature=0.5).mel
    torch.testing.assert_close(mel, wanted, atol=1e-5, rtol=1e-5)
    assert (model.synthesize(batch, noise, steps=1, guidance=3.0, temperature=0.5).mel - wanted).abs().mean() > 0.01


@torch.no_grad()
def test_sampling_settings_default_to_the_configuration() -> None:
    model, batch = small(steps=3, solver="midpoint", guidance=1.7, temperature=0.4), batch_of([5])
    noise = noise_for(batch)
    mel = model.synthesize(batch, noise, steps=3, solver="midpoint", guidance=1.7, temperature=0.4).mel
    assert torch.equal(model.synthesize(batch, noise).mel, mel)
    assert not torch.allclose(model.synthesize(batch, noise, steps=2).mel, mel, atol=1e-3)


@torch.no_grad()
def test_f0_and_voicing_are_the_contours_that_the_decoder_used() -> None:
    """Log F0 in Hz, voicing as a probability; neither without a prosody stage."""
    model, batch = small(), batch_of([6, 4])
    assert model.prosody is not None
    model.prosody.head[1].bias[1] += 0.1  # type: ignore[index,operator]
    with recorded(model.decoder, "contour_embedding") as calls:
        output = model.synthesize(batch, noise_for(batch))
    assert output.log_f0 is not None
    assert output.voicing is not None
    assert output.log_f0.shape == output.voicing.shape == (2, 24)
    contours, _ = calls[0]
    voiced = output.voicing > 0.5
    assert torch.equal(voiced, contours.voicing.bool())
    mean, deviation = STATISTICS.pitch
    torch.testing.assert_close(output.log_f0[voiced], mean + deviation * contours.pitch[voiced])
    for other in (small("prosody"), small_flat()):
        output = other.synthesize(batch, noise_for(batch))
        assert isinstance(output, ModelOutput)
        assert output[1:] == (None, None)


@torch.no_grad()
def test_mels_are_in_the_corpus_s_scale() -> None:
    batch = batch_of([5])
    noise = noise_for(batch)
    plain = small(statistics=replace(STATISTICS, mel=(0.0, 1.0))).synthesize(batch, noise).mel
    torch.testing.assert_close(small().synthesize(batch, noise).mel, 2 * plain - 5)
    assert not any("statistics" in name for name in small().state_dict())  # it would be rounded with the weights


def changes_of(batch: Batch) -> dict[str, torch.Tensor]:
    other = batch_of(batch["mask"].sum(1).tolist(), seed=99)
    return {name: other[name] for name in ("features", "face", "identity")}


@pytest.mark.parametrize(
    ("ablate", "unused"), [("none", ()), ("hierarchy", ()), ("timbre", ("identity",)), ("prosody", ("face",))]
)
@torch.no_grad()
def test_an_ablation_does_not_use_the_input_of_its_part(ablate: Ablation, unused: tuple[str, ...]) -> None:
    model, batch = small_any(ablate), batch_of([6, 5])
    for name, changed in changes_of(batch).items():
        assert (moved(model, batch, **{name: changed}) == 0) == (name in unused), name


@pytest.mark.parametrize("ablate", ABLATIONS)
def test_an_ablation_has_no_loss_of_what_it_lacks(ablate: Ablation) -> None:
    parts = small_any(ablate).losses(batch_of([6, 5]))
    assert set(parts) == OF_ABLATION[ablate] | {"prior", "flow", "loss"}


@pytest.mark.parametrize("name", PRESETS)
def test_ablations_are_of_about_the_same_size(name: str) -> None:
    with torch.device("meta"):
        counts = [
            sum(one.numel() for one in model_class(ablate)(preset(name, ablate), DataStatistics()).parameters())
            for ablate in ABLATIONS
        ]
    assert all(abs(count / counts[0] - 1) < 0.2 for count in counts)


@pytest.mark.parametrize("ablate", ABLATIONS)
@pytest.mark.parametrize("decoder", ["unet", "dit"])
def test_every_parameter_learns(ablate: Ablation, decoder: str) -> None:
    """A parameter without gradient would stop a training on several devices."""
    model = small_any(ablate, decoder=decoder)
    torch.manual_seed(0)
    model.losses(batch_of([8, 6, 7]))["loss"].backward()
    unused = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert not unused


@torch.no_grad()
def test_the_loss_is_the_weighted_sum() -> None:
    weights = {
        "content": replace(SMALL.content, weight=2.0, masked_weight=0.25),
        "timbre": replace(SMALL.timbre, weight=3.0),
        "prosody": replace(SMALL.prosody, weight=5.0),
        "flow": replace(SMALL.flow, prior_weight=7.0),
    }
    model = awake(FacesToVoices(replace(SMALL, **weights), STATISTICS))  # type: ignore[arg-type]
    parts = model.losses(batch_of([6, 5]))
    shares = {"units": 2, "units_masked": 0.5, "timbre": 3, "prior": 7, "flow": 1}
    shares |= dict.fromkeys(("pitch_stats", "pitch", "voicing", "energy"), 5)
    assert set(shares) == set(parts) - {"loss"}
    torch.testing.assert_close(parts["loss"], sum(share * parts[name] for name, share in shares.items()))


@torch.no_grad()
def test_the_prior_s_loss_is_the_distance_of_mu_in_standardized_mels() -> None:
    model, batch = small(), batch_of([6, 4])
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))
    mu = model(batch, training=True).inputs.mu
    real = torch.cat([(batch["mel"][i, : 4 * n] + 5) / 2 - mu[i, : 4 * n] for i, n in enumerate((6, 4))])
    torch.testing.assert_close(model.losses(batch)["prior"], real.square().mean())


@torch.no_grad()
def test_a_speaker_embedding_replaces_the_face() -> None:
    model, batch = small(), batch_of([6, 5])
    assert model.timbre is not None
    voices = {"voice": batch["speaker"]}
    assert moved(model, batch, **voices) > 1e-3
    assert moved(model, batch | voices, identity=changes_of(batch)["identity"]) == 0
    assert moved(model, batch, voice=model.timbre(batch["identity"])) == 0  # equal to the face's
    assert moved(model, batch | voices, voice=batch["speaker"].flip(0)) > 1e-3


@pytest.mark.parametrize(("share", "uses_audio"), [(0.0, False), (1.0, True)])
@torch.no_grad()
def test_training_takes_the_embedding_of_the_audio_as_often_as_asked(share: float, uses_audio: bool) -> None:
    model, batch = small(), batch_of([6, 5])
    assert model.timbre is not None
    model.timbre.config = replace(model.timbre.config, audio_probability=share)
    model.config = replace(model.config, timbre=model.timbre.config)

    def differs(**changes: torch.Tensor) -> bool:
        before, after = (model(one, training=True).inputs.mu for one in (batch, batch | changes))
        return not torch.equal(before, after)

    assert differs(speaker=batch["speaker"].flip(0)) == uses_audio
    assert differs(identity=changes_of(batch)["identity"]) == (not uses_audio)


@torch.no_grad()
def test_training_uses_true_contours_and_synthesis_predicted_ones() -> None:
    model, batch = small(), batch_of([6, 5])
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))

    def mu(batch: Batch, training: bool) -> torch.Tensor:
        found: torch.Tensor = model(batch, training=training).inputs.mu
        return found

    for name, other in (("f0", 1.3 * batch["f0"]), ("f0", 0 * batch["f0"]), ("energy", batch["energy"] + 1)):
        assert not torch.equal(mu(batch, True), mu(batch | {name: other}, True))
    video = {name: batch[name] for name in ("mask", "features", "face", "identity")}
    assert torch.equal(mu(batch, False), mu(video, False))  # targets are not needed, and not used


@torch.no_grad()
def test_target_contours_are_standardized_and_unvoiced_pitch_is_zero() -> None:
    contours = small().decoder.target_contours(batch_of([400], seed=3))
    voiced = contours.voicing > 0
    assert set(contours.voicing.flatten().tolist()) == {0.0, 1.0}
    assert (contours.pitch[~voiced] == 0).all()
    for values in (contours.pitch[voiced], contours.energy):
        assert abs(values.mean()) < 0.1
        assert abs(values.std() - 1) < 0.1


@torch.no_grad()
def test_predicted_pitch_has_the_speaker_s_mean_and_deviation() -> None:
    """Mean 2 and deviation 0.5: pitch = 2 + 0.5 prediction, where voiced."""
    model, batch = small(), batch_of([6])
    assert model.prosody is not None
    last = model.prosody.pitch_stats[2]
    assert isinstance(last, torch.nn.Linear)
    last.weight.zero_()
    last.bias.copy_(torch.tensor([2.0, -math.log(2)]))
    predictions: list[Contours] = []
    model.prosody.register_forward_hook(lambda _, __, output: predictions.append(output))
    with recorded(model.decoder, "contour_embedding") as calls:
        model(batch)
    ((contours, _),), (prediction,) = calls, predictions
    voiced = prediction.voicing > 0
    assert voiced.any()
    assert torch.equal(contours.voicing, voiced.float())
    torch.testing.assert_close(contours.pitch, torch.where(voiced, 2 + 0.5 * prediction.pitch, 0.0))
    assert torch.equal(contours.energy, prediction.energy)


@torch.no_grad()
def test_decoder_inputs_are_at_mel_rate_and_losses_belong_to_training() -> None:
    model, batch = small(), batch_of([6, 5], 1)
    inputs, losses, *_ = model(batch)
    assert inputs.mu.shape == (2, 28, 80)
    assert inputs.features.shape == (2, 28, SMALL.content.width)
    assert inputs.mask.sum(1).tolist() == [24, 20]
    assert losses == {}
    assert set(model(batch, training=True).losses) == STAGES


@pytest.mark.parametrize("mask", ["center", "span"])
def test_no_loss_depends_on_the_padding(mask: str) -> None:
    """Other targets and images beyond the end change no loss; a change within does."""
    content = replace(SMALL.content, mask=mask, mask_prob=0.9)  # type: ignore[arg-type]
    model = awake(FacesToVoices(replace(SMALL, content=content), STATISTICS))
    batch = batch_of([6, 4])
    other = batch_of([6, 4], seed=5)

    def losses(batch: Batch) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        with torch.no_grad():
            return model.losses(batch)

    def mixed(beyond: bool) -> Batch:
        out = dict(batch)
        for name in ("features", "face", "units", "mel", "f0", "energy"):
            real = batch["mask"].repeat_interleave(batch[name].shape[1] // batch["mask"].shape[1], 1)
            real = real.view(*real.shape, *[1] * (batch[name].ndim - 2))
            out[name] = torch.where(real if beyond else ~real, batch[name], other[name])
        return out

    before, behind, within = losses(batch), losses(mixed(beyond=True)), losses(mixed(beyond=False))
    for name in before:
        torch.testing.assert_close(behind[name], before[name], atol=1e-5, rtol=1e-5)
    assert {name for name in before if not torch.allclose(within[name], before[name], atol=1e-4)} >= STAGES - {
        "timbre",
        "pitch_stats",
    }
