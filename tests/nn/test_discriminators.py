from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.discriminators import (
    DiscriminatorOutput,
    Discriminators,
    SpectralLoss,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from f2v_bench.nn.vocoders.hifigan import to_published_names
from tests.nn.published import chirp

SMALL = VocoderConfig(discriminator_width=1 / 16, periods=(2, 3), scales=2, resolutions=(256, 512))


@pytest.fixture(scope="module")
def discriminators() -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(SMALL)


def test_the_full_width_is_the_published_one() -> None:
    """Names and shapes of HiFi-GAN's ``do_`` checkpoints."""
    with torch.device("meta"):
        full = Discriminators(VocoderConfig())
    shapes = {name: tuple(tensor.shape) for name, tensor in to_published_names(full.state_dict()).items()}
    channels = (1, 32, 128, 512, 1024, 1024)
    for period in range(5):
        for layer in range(5):
            name = f"mpd.discriminators.{period}.convs.{layer}.weight_v"
            assert shapes[name] == (channels[layer + 1], channels[layer], 5, 1)
        assert shapes[f"mpd.discriminators.{period}.conv_post.weight_v"] == (1, 1024, 3, 1)
    expected = (
        (128, 1, 15), (128, 32, 41), (256, 8, 41), (512, 16, 41), (1024, 32, 41), (1024, 64, 41), (1024, 1024, 5),
    )  # fmt: skip
    for scale in (1, 2):
        found = tuple(shapes[f"msd.discriminators.{scale}.convs.{layer}.weight_v"] for layer in range(7))
        assert found == expected
    assert shapes["msd.discriminators.0.convs.6.parametrizations.weight.original"] == (1024, 1024, 5)
    assert shapes["msd.discriminators.2.conv_post.weight_v"] == (1, 1024, 3)
    counts = [sum(tensor.numel() for tensor in part.parameters()) for part in full.children()]
    assert [round(count / 1e5) / 10 for count in counts] == [41.1, 29.6]  # million, of mpd and msd


def test_scores_and_feature_maps(discriminators: Discriminators) -> None:
    """One output a period, scale and resolution; lengths follow from strides, 3 or 2, 2, 4, 4 or frequencies."""
    judgements = discriminators(torch.stack([chirp(8160), -chirp(8160)]))
    assert [len(maps) for _, maps in judgements] == [6, 6, 8, 8, 6, 6]
    sizes = [tuple(maps[-1].shape[2:]) for _, maps in judgements]
    assert sizes[:2] == [(51, 2), (34, 3)]  # ceil of 4080 / 81 and 2720 / 81
    assert sizes[2:4] == [(128,), (64,)]  # ceil of 8160 / 64; 4081 / 64
    assert sizes[4:] == [(127, 17), (63, 33)]  # frames at a quarter's hop, bins halved three times
    for scores, maps in judgements:
        assert scores.shape == (2, maps[-1][0].numel())


def test_a_batch_equals_its_clips_alone(discriminators: Discriminators) -> None:
    discriminators.eval()
    batch = torch.stack([chirp(4000), 0.3 * chirp(4000).flip(0)])
    with torch.inference_mode():
        both = discriminators(batch)
        for row, wave in enumerate(batch):
            for (found, _), (alone, _) in zip(both, discriminators(wave[None]), strict=True):
                torch.testing.assert_close(found[row], alone[0], atol=1e-5, rtol=1e-4)
    discriminators.train()


def test_parts_can_be_left_out() -> None:
    none = replace(SMALL, periods=(), scales=0, resolutions=())
    for part, given in (("mpd", {"periods": (2,)}), ("msd", {"scales": 1}), ("mrd", {"resolutions": (256,)})):
        built = Discriminators(replace(none, **given))
        assert [name for name, _ in built.named_children()] == [part]
        assert len(built(chirp(4000)[None])) == 1


def output(scores: list[float], *maps: list[float]) -> DiscriminatorOutput:
    return torch.tensor([scores]), [torch.tensor([values]) for values in maps]


def test_losses_by_hand() -> None:
    real = [output([1.0, 0.5], [1.0, 2.0], [4.0]), output([2.0], [0.0])]
    generated = [output([0.0, 1.0], [0.0, 4.0], [1.0]), output([0.5], [-1.0])]
    assert float(discriminator_loss(real, generated)) == pytest.approx((0.25 / 2 + 1 / 2) + (1 + 0.25))
    assert float(adversarial_loss(generated)) == pytest.approx(1 / 2 + 0.25)
    assert float(feature_loss(real, generated)) == pytest.approx(1.5 + 3 + 1)


def test_the_spectral_loss_by_hand() -> None:
    real, generated = chirp(4800)[None], 0.1 * torch.randn(1, 4800, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for size in (320, 640):
        pad = (size - size // 4) // 2
        ours, theirs = (
            torch.stft(
                functional.pad(wave[:, None], (pad, pad), "reflect")[:, 0], size, size // 4,
                window=torch.hann_window(size), center=False, return_complex=True,
            ).abs().clamp(min=1e-6)
            for wave in (generated, real)
        )  # fmt: skip
        total += float((theirs - ours).norm() / theirs.norm() + (theirs.log() - ours.log()).abs().mean())
    assert float(SpectralLoss((320, 640))(generated, real)) == pytest.approx(total / 2, rel=1e-4)
    assert float(SpectralLoss((320, 640))(real, real)) == 0


def test_the_spectral_loss_of_silence_is_finite() -> None:
    for real, generated in ((torch.zeros(1, 1600), chirp(1600)[None]), (chirp(1600)[None], torch.zeros(1, 1600))):
        generated.requires_grad_()
        loss = SpectralLoss((320,))(generated, real)
        (gradient,) = torch.autograd.grad(loss, generated)
        assert bool(loss.isfinite())
        assert bool(gradient.isfinite().all())


def test_a_few_steps_separate_noise_from_a_tone(discriminators: Discriminators) -> None:
    noise = 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    real, optimizer = chirp(4000).expand(2, -1), torch.optim.Adam(discriminators.parameters(), 2e-3)
    losses = []
    for _ in range(8):
        loss = discriminator_loss(discriminators(real), discriminators(noise))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
