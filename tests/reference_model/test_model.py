"""The whole model: padding, ablations, voices, losses, guidance."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.modeling.batch import Batch
from reference_model.config import Ablation
from reference_model.mel_decoder import DataStatistics, DecoderInputs
from reference_model.model import FacesToVoices
from reference_model.presets import PRESETS, preset
from reference_model.prosody import Contours
from tests.nn.test_transformer import awake, seeded
from tests.reference_model.small import ABLATIONS, SMALL, STANDARD, alone, batch_of, small

STAGES = {"units", "units_masked", "timbre", "place", "pitch", "voicing", "energy"}
OF_ABLATION: dict[Ablation, set[str]] = {
    "none": STAGES,
    "hierarchy": set(),
    "timbre": STAGES - {"timbre"},
    "prosody": {"units", "units_masked", "timbre"},
}


def noise_for(batch: Batch, seed: int = 0) -> torch.Tensor:
    clips, frames = batch["mask"].shape
    return torch.randn(clips, 4 * frames, 80, generator=seeded(seed))


def moved(model: FacesToVoices, batch: Batch, **changes: torch.Tensor) -> float:
    """How far mu and the features go when a part of the batch is another."""
    before, after = model.condition(batch), model.condition(batch | changes)
    return max(float((a - b).abs().max()) for a, b in zip(before[:2], after[:2], strict=True))


@pytest.mark.parametrize("ablate", ABLATIONS)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=3), beyond=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=6)
@torch.no_grad()
def test_padding_changes_nothing(ablate: Ablation, lengths: list[int], beyond: int, seed: int) -> None:
    model, batch = small(ablate, seed=seed), batch_of(lengths, beyond, seed)
    noise = noise_for(batch, seed)
    together, spoken = model.condition(batch), model.synthesize(batch, noise).mel
    for clip, length in enumerate(lengths):
        one, fine = alone(batch, clip), slice(0, 4 * length)
        apart, of = model.condition(one), slice(clip, clip + 1)
        assert apart.mu.std() > 0.1  # a model that says nothing would pass as well
        torch.testing.assert_close(together.mu[of, fine], apart.mu, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.features[of, fine], apart.features, atol=1e-5, rtol=1e-5)
        once = model.synthesize(one, noise[of, fine]).mel
        assert once.shape == (1, 4 * length, 80)
        torch.testing.assert_close(spoken[of, fine], once, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ablate", ABLATIONS)
@torch.no_grad()
def test_padding_changes_no_taught_condition(ablate: Ablation) -> None:
    model, batch = small(ablate), batch_of([7, 4], 2)
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))
    together = model.condition(batch, teach=True)
    for clip in range(2):
        apart = model.condition(alone(batch, clip), teach=True)
        torch.testing.assert_close(together.mu[clip : clip + 1, : apart.mu.shape[1]], apart.mu, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("decoder", ["unet", "dit"])
@torch.no_grad()
def test_a_guidance_of_one_is_the_conditional_field(decoder: str) -> None:
    model, batch = small(decoder=decoder, standard=DataStatistics()), batch_of([6, 4])
    noise, condition = noise_for(batch), model.condition(batch)
    t = torch.zeros(2)
    field = model.flow.decoder(0.5 * noise, t, condition.mu, condition.features, condition.mask)
    wanted = (0.5 * noise + field) * condition.mask[..., None]
    said = model.synthesize(batch, noise, steps=1, solver="euler", guidance=1.0, temperature=0.5).mel
    torch.testing.assert_close(said, wanted, atol=1e-5, rtol=1e-5)
    assert (model.synthesize(batch, noise, steps=1, guidance=3.0, temperature=0.5).mel - wanted).abs().mean() > 0.01


@torch.no_grad()
def test_settings_of_the_configuration_hold_where_none_are_given() -> None:
    model, batch = small(steps=3, solver="midpoint", guidance=1.7, temperature=0.4), batch_of([5])
    noise = noise_for(batch)
    said = model.synthesize(batch, noise, steps=3, solver="midpoint", guidance=1.7, temperature=0.4).mel
    assert torch.equal(model.synthesize(batch, noise).mel, said)
    assert not torch.allclose(model.synthesize(batch, noise, steps=2).mel, said, atol=1e-3)


@torch.no_grad()
def test_the_melody_is_what_the_decoder_was_given() -> None:
    """Log F0 in the corpus's scale, voicing as a probability; nothing of it without a prosody stage."""
    model, batch = small(), batch_of([6, 4])
    model.prosody.head[1].bias[1] += 0.1  # type: ignore[union-attr,index,operator]
    seen: list[Contours] = []
    embedding = model.prosody.embedding  # type: ignore[union-attr]
    model.prosody.embedding = lambda found, mask: seen.append(found) or embedding(found, mask)  # type: ignore
    melody = model.synthesize(batch, noise_for(batch)).melody
    assert melody is not None
    assert melody.shape == (2, 24, 2)
    said = melody[..., 1] > 0.5
    assert torch.equal(said, seen[0].voicing.bool())
    mean, deviation = STANDARD.pitch
    torch.testing.assert_close(melody[..., 0][said], mean + deviation * seen[0].pitch[said])
    for ablate in ("prosody", "hierarchy"):
        assert small(ablate).synthesize(batch, noise_for(batch)).melody is None


@torch.no_grad()
def test_mels_come_back_in_the_corpus_s_scale() -> None:
    batch = batch_of([5])
    noise = noise_for(batch)
    plain = small(standard=replace(STANDARD, mel=(0.0, 1.0))).synthesize(batch, noise).mel
    torch.testing.assert_close(small().synthesize(batch, noise).mel, 2 * plain - 5)
    assert not any("standard" in name for name in small().state_dict())  # it would be rounded with the weights


def changes_of(batch: Batch) -> dict[str, torch.Tensor]:
    other = batch_of(batch["mask"].sum(1).tolist(), seed=99)
    return {name: other[name] for name in ("features", "face", "identity")}


@pytest.mark.parametrize(
    ("ablate", "blind"), [("none", ()), ("hierarchy", ()), ("timbre", ("identity",)), ("prosody", ("face",))]
)
@torch.no_grad()
def test_an_ablation_does_not_see_what_its_part_saw(ablate: Ablation, blind: tuple[str, ...]) -> None:
    model, batch = small(ablate), batch_of([6, 5])
    for name, changed in changes_of(batch).items():
        assert (moved(model, batch, **{name: changed}) == 0) == (name in blind), name


@pytest.mark.parametrize("ablate", ABLATIONS)
def test_an_ablation_has_no_loss_of_what_it_lacks(ablate: Ablation) -> None:
    parts = small(ablate).losses(batch_of([6, 5]))
    assert set(parts) == OF_ABLATION[ablate] | {"prior", "flow", "loss"}


@pytest.mark.parametrize("name", PRESETS)
def test_ablations_are_of_about_the_same_size(name: str) -> None:
    with torch.device("meta"):
        counts = [
            sum(parameter.numel() for parameter in FacesToVoices(preset(name, ablate), DataStatistics()).parameters())
            for ablate in ABLATIONS
        ]
    assert all(abs(count / counts[0] - 1) < 0.2 for count in counts)


@pytest.mark.parametrize("ablate", ABLATIONS)
@pytest.mark.parametrize("decoder", ["unet", "dit"])
def test_every_parameter_learns(ablate: Ablation, decoder: str) -> None:
    """One that no loss reaches would stop a training on several devices, and count for nothing."""
    model = small(ablate, decoder=decoder)
    torch.manual_seed(0)
    model.losses(batch_of([8, 6, 7]))["loss"].backward()
    silent = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert not silent


@torch.no_grad()
def test_the_loss_is_the_weighted_sum() -> None:
    weights = {
        "content": replace(SMALL.content, weight=2.0, masked_weight=0.25),
        "timbre": replace(SMALL.timbre, weight=3.0),
        "prosody": replace(SMALL.prosody, weight=5.0),
        "flow": replace(SMALL.flow, prior_weight=7.0),
    }
    model = awake(FacesToVoices(replace(SMALL, **weights), STANDARD))  # type: ignore[arg-type]
    parts = model.losses(batch_of([6, 5]))
    shares = {"units": 2, "units_masked": 0.5, "timbre": 3, "prior": 7, "flow": 1}
    shares |= dict.fromkeys(("place", "pitch", "voicing", "energy"), 5)
    assert set(shares) == set(parts) - {"loss"}
    torch.testing.assert_close(parts["loss"], sum(share * parts[name] for name, share in shares.items()))


@torch.no_grad()
def test_the_prior_s_loss_is_the_distance_of_mu_in_standardised_mels() -> None:
    model, batch = small(), batch_of([6, 4])
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))
    mu = model.condition(batch, teach=True).mu
    real = torch.cat([(batch["mel"][i, : 4 * n] + 5) / 2 - mu[i, : 4 * n] for i, n in enumerate((6, 4))])
    torch.testing.assert_close(model.losses(batch)["prior"], real.square().mean())


@torch.no_grad()
def test_a_voice_takes_the_place_of_the_face() -> None:
    model, batch = small(), batch_of([6, 5])
    assert model.timbre is not None
    voices = {"voice": batch["speaker"]}
    assert moved(model, batch, **voices) > 1e-3
    assert moved(model, batch | voices, identity=changes_of(batch)["identity"]) == 0
    assert moved(model, batch, voice=model.timbre(batch["identity"])) == 0  # where the face says the same
    assert moved(model, batch | voices, voice=batch["speaker"].flip(0)) > 1e-3


@pytest.mark.parametrize(("share", "heard"), [(0.0, False), (1.0, True)])
@torch.no_grad()
def test_training_takes_the_true_voice_as_often_as_asked(share: float, heard: bool) -> None:
    model, batch = small(), batch_of([6, 5])
    assert model.timbre is not None
    model.timbre.config = replace(model.timbre.config, audio_probability=share)
    model.config = replace(model.config, timbre=model.timbre.config)

    def differs(**changes: torch.Tensor) -> bool:
        before, after = (model.condition(one, teach=True).mu for one in (batch, batch | changes))
        return not torch.equal(before, after)

    assert differs(speaker=batch["speaker"].flip(0)) == heard
    assert differs(identity=changes_of(batch)["identity"]) == (not heard)


@torch.no_grad()
def test_true_contours_teach_and_predicted_ones_speak() -> None:
    model, batch = small(), batch_of([6, 5])
    model.config = replace(model.config, timbre=replace(model.config.timbre, audio_probability=0.0))

    def mu(batch: Batch, teach: bool) -> torch.Tensor:
        return model.condition(batch, teach=teach).mu

    for name, other in (("f0", 1.3 * batch["f0"]), ("f0", 0 * batch["f0"]), ("energy", batch["energy"] + 1)):
        assert not torch.equal(mu(batch, True), mu(batch | {name: other}, True))
    seen = {name: batch[name] for name in ("mask", "features", "face", "identity")}
    assert torch.equal(mu(batch, False), mu(seen, False))  # targets are not needed, and not looked at


@torch.no_grad()
def test_targets_are_standardised_and_unvoiced_pitch_is_zero() -> None:
    contours = small().targets(batch_of([400], seed=3))
    voiced = contours.voicing > 0
    assert set(contours.voicing.flatten().tolist()) == {0.0, 1.0}
    assert (contours.pitch[~voiced] == 0).all()
    for values in (contours.pitch[voiced], contours.energy):
        assert abs(values.mean()) < 0.1
        assert abs(values.std() - 1) < 0.1


@torch.no_grad()
def test_predicted_pitch_lies_where_the_speaker_s_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Place 2 and deviation 0.5: pitch = 2 + 0.5 found, where voiced."""
    model, batch = small(), batch_of([6])
    assert model.prosody is not None
    last = model.prosody.place[2]
    assert isinstance(last, torch.nn.Linear)
    last.weight.zero_()
    last.bias.copy_(torch.tensor([2.0, -math.log(2)]))
    said: list[Contours] = []
    found: list[Contours] = []
    forward, embedding = model.prosody.forward, model.prosody.embedding

    def listen(*given: torch.Tensor) -> Contours:
        found.append(forward(*given))
        return found[-1]

    def hear(contours: Contours, mask: torch.Tensor) -> torch.Tensor:
        said.append(contours)
        return embedding(contours, mask)

    monkeypatch.setattr(model.prosody, "forward", listen)
    monkeypatch.setattr(model.prosody, "embedding", hear)
    model.condition(batch)
    voiced = found[0].voicing > 0
    assert voiced.any()
    assert torch.equal(said[0].voicing, voiced.float())
    torch.testing.assert_close(said[0].pitch, torch.where(voiced, 2 + 0.5 * found[0].pitch, 0.0))
    assert torch.equal(said[0].energy, found[0].energy)


@torch.no_grad()
def test_a_condition_is_at_mel_rate_and_carries_losses_only_in_teaching() -> None:
    model, batch = small(), batch_of([6, 5], 1)
    condition: DecoderInputs = model.condition(batch)
    assert condition.mu.shape == (2, 28, 80)
    assert condition.features.shape == (2, 28, SMALL.content.width)
    assert condition.mask.sum(1).tolist() == [24, 20]
    assert condition.losses == {}
    assert set(model.condition(batch, teach=True).losses) == STAGES


@pytest.mark.parametrize("mask", ["centre", "span"])
def test_no_loss_sees_beyond_the_clip(mask: str) -> None:
    """Other targets and pictures behind the end change no loss; a change within does."""
    content = replace(SMALL.content, mask=mask, hidden=0.9)  # type: ignore[arg-type]
    model = awake(FacesToVoices(replace(SMALL, content=content), STANDARD))
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
        "place",
    }
