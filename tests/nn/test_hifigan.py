from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.vocoders.build import build_vocoder, vocode
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.hifigan import HiFiGAN, fold_weight_norm, load_hifigan, to_published_names, to_torch_names
from tests.nn.published import Shapes, published_shapes, randomized, shapes_of

SMALL = VocoderConfig(channels=64, resblock_kernels=(3, 7))
AGAIN = "fetch it again"


@pytest.fixture(scope="module")
def small() -> HiFiGAN:
    torch.manual_seed(0)
    network = randomized(HiFiGAN(SMALL))
    assert isinstance(network, HiFiGAN)
    return network


def paper_shapes() -> Shapes:
    """Table 4 of the paper for V1, with 80 mel bins and this upsampling; weight norm has one length an axis-0 slice."""
    kernels: Shapes = {"conv_pre": (512, 80, 7), "conv_post": (1, 16, 7)}
    block = 0
    for level, kernel in enumerate((11, 8, 4, 4, 4)):
        after = 512 // 2 ** (level + 1)
        kernels[f"ups.{level}"] = (2 * after, after, kernel)
        for size in (3, 7, 11):
            for pair in range(3):
                kernels[f"resblocks.{block}.convs1.{pair}"] = (after, after, size)
                kernels[f"resblocks.{block}.convs2.{pair}"] = (after, after, size)
            block += 1
    shapes: Shapes = {}
    for name, shape in kernels.items():
        shapes[f"{name}.weight_v"] = shape
        shapes[f"{name}.weight_g"] = (shape[0], 1, 1)
        shapes[f"{name}.bias"] = (shape[1] if name.startswith("ups") else shape[0],)
    return shapes


def test_names_shapes_and_count_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        network = build_vocoder(VocoderConfig())
    named = to_published_names(network.state_dict())
    assert {name: tuple(tensor.shape) for name, tensor in named.items()} == paper_shapes()
    assert sum(tensor.numel() for tensor in named.values()) == 13_053_442


def test_names_and_shapes_are_the_published_ones(shared: Path) -> None:
    published = published_shapes(shared, "hifigan_16k_generator")
    assert len(published) == 291
    assert published == paper_shapes()


def test_the_names_map_both_ways(small: HiFiGAN) -> None:
    state = small.state_dict()
    there = to_published_names(state)
    assert "ups.0.weight_g" in there
    assert not any("parametrizations" in name for name in there)
    back = to_torch_names(there)
    assert list(back) == list(state)
    assert to_torch_names(state) == state


def plain_forward(weights: dict[str, torch.Tensor], mel: torch.Tensor, config: VocoderConfig) -> torch.Tensor:
    """Compute the generator from its definition and published names alone: weight = g v / |v|, blocks averaged."""

    def of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        direction = weights[f"{name}.weight_v"]
        length = direction.flatten(1).norm(dim=1)[:, None, None]
        return weights[f"{name}.weight_g"] * direction / length, weights[f"{name}.bias"]

    x = functional.conv1d(mel.transpose(1, 2), *of("conv_pre"), padding=3)
    kinds = len(config.resblock_kernels)
    for level, (factor, kernel) in enumerate(zip(config.upsample, config.upsample_kernels, strict=True)):
        x = functional.leaky_relu(x, 0.1)
        x = functional.conv_transpose1d(x, *of(f"ups.{level}"), stride=factor, padding=(kernel - factor) // 2)
        total = torch.zeros_like(x)
        for kind, size in enumerate(config.resblock_kernels):
            y, name = x, f"resblocks.{level * kinds + kind}"
            for pair, dilation in enumerate(config.dilations):
                padding = (size * dilation - dilation) // 2
                z = functional.leaky_relu(y, 0.1)
                z = functional.conv1d(z, *of(f"{name}.convs1.{pair}"), padding=padding, dilation=dilation)
                z = functional.leaky_relu(z, 0.1)
                y = y + functional.conv1d(z, *of(f"{name}.convs2.{pair}"), padding=(size - 1) // 2)
            total = total + y
        x = total / kinds
    return torch.tanh(functional.conv1d(functional.leaky_relu(x), *of("conv_post"), padding=3))[:, 0]


@torch.inference_mode()
def test_forward_is_the_definition(small: HiFiGAN) -> None:
    mel = torch.randn(2, 9, 80, generator=torch.Generator().manual_seed(1))
    found = small(mel)
    assert found.shape == (2, 1440)
    assert float(found.std()) > 1e-3
    torch.testing.assert_close(
        found, plain_forward(to_published_names(small.state_dict()), mel, SMALL), atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_folding_keeps_the_output_and_the_original(small: HiFiGAN) -> None:
    mel = torch.randn(1, 12, 80, generator=torch.Generator().manual_seed(2))
    expected = small(mel)
    plain = fold_weight_norm(small)
    assert "conv_pre.weight" in plain.state_dict()
    assert "weight_g" not in str(list(plain.state_dict()))
    torch.testing.assert_close(plain(mel), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(small(mel), expected, atol=0, rtol=0)


@pytest.mark.parametrize("form", ["published", "torch", "folded", "bare"])
def test_a_checkpoint_of_any_form_is_read(tmp_path: Path, small: HiFiGAN, form: str) -> None:
    state = {
        "published": {"generator": to_published_names(small.state_dict())},
        "torch": {"generator": small.state_dict()},
        "folded": {"generator": fold_weight_norm(small).state_dict()},
        "bare": to_published_names(small.state_dict()),
    }[form]
    torch.save(state, tmp_path / "g_02500000")
    loaded = load_hifigan(tmp_path / "g_02500000", AGAIN, SMALL)
    assert not loaded.training
    mel = torch.randn(1, 5, 80, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(mel), small(mel), atol=1e-6, rtol=0)


def test_another_file_is_refused(tmp_path: Path, small: HiFiGAN) -> None:
    path = tmp_path / "do_02500000"
    contents: tuple[dict[str, object], ...] = (
        {"mpd": {}, "msd": {}},
        {"generator": [1]},
        {"generator": small.state_dict()},
    )
    for content in contents:
        torch.save(content, path)
        with pytest.raises(F2VError, match="does not fit HiFiGAN"):
            load_hifigan(path, AGAIN)
    path.write_bytes(b"RIFF")
    with pytest.raises(F2VError, match="cannot be read as weights"):
        load_hifigan(path, AGAIN)


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_equal_the_whole(small: HiFiGAN, chunk: int) -> None:
    mel = np.random.default_rng(0).standard_normal((61, 80)).astype(np.float32)
    whole = vocode(small, mel)
    assert whole.shape == (160 * 61,)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(vocode(small, mel, chunk=chunk), whole, atol=1e-5)
    assert vocode(small, mel[:0]).shape == (0,)
    with pytest.raises(ValueError, match="mel spectrogram is"):
        vocode(small, mel.T)


def test_the_context_is_the_receptive_field() -> None:
    """22 frames for the published sizes, counted by hand; for small ones the gradient gives the same."""
    with torch.device("meta"):
        assert HiFiGAN(VocoderConfig()).context == 22
    torch.manual_seed(0)
    config = VocoderConfig(
        channels=32, upsample=(8, 5, 4), upsample_kernels=(16, 11, 8), resblock_kernels=(3, 5), dilations=(1, 2)
    )
    network = HiFiGAN(config).double()
    mel = torch.randn(1, 31, 80, dtype=torch.double, requires_grad=True)
    samples = network(mel)[0, 160 * 15 : 160 * 16]
    near = [torch.autograd.grad(sample, mel, retain_graph=True)[0][0].any(1).nonzero() for sample in samples[[0, -1]]]
    reach = max(abs(int(edge) - 15) for frames in near for edge in (frames.min(), frames.max()))
    assert network.context == reach == 6


def test_impossible_sizes_are_refused() -> None:
    for config, message in (
        (VocoderConfig(upsample=(5, 4, 2, 2), upsample_kernels=(11, 8, 4, 4)), "has the product 80, not 160"),
        (VocoderConfig(upsample_kernels=(10, 8, 4, 4, 4)), "do not fit"),
        (VocoderConfig(upsample_kernels=(11, 8, 4, 4)), "do not fit"),
        (VocoderConfig(segment=8192), "segment is 8192"),
        (VocoderConfig(periods=(), scales=0), "are all empty"),
    ):
        with pytest.raises(ValueError, match=message):
            build_vocoder(config)


@torch.inference_mode()
def test_silence_gives_finite_samples(small: HiFiGAN) -> None:
    samples = small(torch.full((1, 10, 80), -11.513))
    assert bool(samples.isfinite().all())
    assert float(samples.abs().max()) <= 1


@torch.inference_mode()
def test_bfloat16_is_close(small: HiFiGAN) -> None:
    mel = torch.randn(1, 10, 80, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = small(mel)
    expected = small(mel)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 0.05


def test_shapes_of_the_folded_generator() -> None:
    with torch.device("meta"):
        found = shapes_of(HiFiGAN(VocoderConfig(), folded=True))
    expected = {name: shape for name, shape in paper_shapes().items() if not name.endswith("weight_g")}
    assert found == {name.replace("weight_v", "weight"): shape for name, shape in expected.items()}
