from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2v_bench.errors import F2VError
from f2v_bench.nn.vocoders import parallel_wavegan_checkpoint as module
from f2v_bench.nn.vocoders.parallel_wavegan import Conditioning, ParallelWaveGAN, ResidualBlock, vocode
from f2v_bench.nn.vocoders.parallel_wavegan_checkpoint import check_archive, fold_weights, load_parallel_wavegan
from tests.nn.parallel_wavegans import MEAN, SCALE, made_archive, published_layout, random_state
from tests.nn.published import randomized, shapes_of

AGAIN = "fetch it again"
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def small() -> ParallelWaveGAN:
    """Two cycles of dilations 1, 2, 4."""
    torch.manual_seed(0)
    network = randomized(ParallelWaveGAN(layers=6, stacks=2, channels=8))
    assert isinstance(network, ParallelWaveGAN)
    network.mean.copy_(torch.from_numpy(MEAN))
    network.scale.copy_(torch.from_numpy(SCALE))
    return network


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_archive(tmp_path_factory.mktemp("pwg"))


def mel_of(frames: int, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((frames, 80))
    return (MEAN + SCALE * noise).astype(np.float32)


def test_names_shapes_and_count_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = ParallelWaveGAN()
    layout = published_layout()
    plain = {name.replace("weight_v", "weight"): shape for name, shape in layout.items() if "weight_g" not in name}
    assert shapes_of(network) == plain | {"mean": (80,), "scale": (80,)}
    assert sum(one.numel() for one in network.parameters()) == 1_334_311
    assert network.context == 14
    dilations = [block.conv.dilation[0] for block in network.conv_layers if isinstance(block, ResidualBlock)]
    assert dilations == 3 * [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def convolved(x: Array, weight: Array, bias: Array | None = None, dilation: int = 1) -> Array:
    """``(C, n)`` to ``(D, n)`` with zeros around, from the definition of a convolution."""
    taps, length = weight.shape[2], x.shape[1]
    edge = taps // 2 * dilation
    wide = np.pad(x, ((0, 0), (edge, edge)))
    out = sum(weight[:, :, tap] @ wide[:, tap * dilation : tap * dilation + length] for tap in range(taps))
    return np.asarray(out if bias is None else out + bias[:, None])


def plain_block(state: dict[str, Array], prefix: str, x: Array, mel: Array, dilation: int) -> tuple[Array, Array]:
    def of(name: str) -> tuple[Array, Array | None]:
        return state[f"{prefix}{name}.weight"], state.get(f"{prefix}{name}.bias")

    both = convolved(x, *of("conv"), dilation) + convolved(mel, *of("conv1x1_aux"))
    half = len(both) // 2
    gated = np.tanh(both[:half]) / (1 + np.exp(-both[half:]))
    return (convolved(gated, *of("conv1x1_out")) + x) / np.sqrt(2), convolved(gated, *of("conv1x1_skip"))


def plain_upsampling(state: dict[str, Array], prefix: str, mel: Array) -> Array:
    near = np.concatenate([mel[:, :1], mel[:, :1], mel, mel[:, -1:], mel[:, -1:]], axis=1)
    out = convolved(near, state[f"{prefix}conv_in.weight"])[:, 2:-2]
    for place, factor in zip((1, 3, 5, 7), (4, 5, 3, 5), strict=True):
        kernel = state[f"{prefix}upsample.up_layers.{place}.weight"][0, 0, 0]
        assert len(kernel) == 2 * factor + 1
        out = np.stack([np.convolve(np.repeat(row, factor), kernel[::-1], "same") for row in out])
    return out


def numbers(network: torch.nn.Module) -> dict[str, Array]:
    return {name: one.double().numpy() for name, one in network.state_dict().items()}


@torch.no_grad()
def test_a_residual_block_is_the_definition() -> None:
    block = randomized(ResidualBlock(6, dilation=4))
    rng = np.random.default_rng(0)
    x, mel = rng.standard_normal((6, 30)), rng.standard_normal((80, 30))
    onward, skips = block(torch.from_numpy(x).float()[None], torch.from_numpy(mel).float()[None])
    wanted = plain_block(numbers(block), "", x, mel, 4)
    np.testing.assert_allclose(onward[0], wanted[0], atol=1e-5)
    np.testing.assert_allclose(skips[0], wanted[1], atol=1e-5)


@torch.no_grad()
def test_upsampling_is_the_definition() -> None:
    network = randomized(Conditioning())
    mel = np.random.default_rng(0).standard_normal((80, 5))
    found = network(torch.from_numpy(mel).float()[None])
    assert found.shape == (1, 80, 1500)
    np.testing.assert_allclose(found[0], plain_upsampling(numbers(network), "", mel), atol=1e-4)


@torch.no_grad()
def test_forward_is_the_definition(small: ParallelWaveGAN) -> None:
    state, mel = numbers(small), mel_of(4)
    noise = np.random.default_rng(1).standard_normal((1, 1200)).astype(np.float32)
    condition = plain_upsampling(state, "upsample_net.", ((mel - MEAN) / SCALE).T)
    x = convolved(noise.astype(np.float64), state["first_conv.weight"], state["first_conv.bias"])
    total = np.zeros_like(x)
    for layer, dilation in enumerate((1, 2, 4, 1, 2, 4)):
        x, skips = plain_block(state, f"conv_layers.{layer}.", x, condition, dilation)
        total += skips
    out = np.maximum(total / np.sqrt(6), 0)
    out = np.maximum(convolved(out, state["last_conv_layers.1.weight"], state["last_conv_layers.1.bias"]), 0)
    out = convolved(out, state["last_conv_layers.3.weight"], state["last_conv_layers.3.bias"])
    found = small(torch.from_numpy(mel)[None], torch.from_numpy(noise))
    assert found.std() > 5e-3
    np.testing.assert_allclose(found.numpy(), out, atol=1e-4)


@torch.no_grad()
def test_folding_is_weight_norm() -> None:
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 4, 5))
    layer.parametrizations.weight.original0.mul_(1.7)
    state = layer.state_dict()
    published = {
        "a.weight_g": state["parametrizations.weight.original0"],
        "a.weight_v": state["parametrizations.weight.original1"],
        "a.bias": state["bias"],
    }
    plain = fold_weights(published)
    assert list(plain) == ["a.bias", "a.weight"]
    torch.testing.assert_close(plain["a.weight"], layer.weight)
    assert fold_weights(plain) == plain


@torch.no_grad()
def test_a_batch_is_one_by_one(small: ParallelWaveGAN) -> None:
    mel, noise = torch.from_numpy(np.stack([mel_of(6, 1), mel_of(6, 2)])), torch.randn(2, 1800)
    both = small(mel, noise)
    for at in (0, 1):
        torch.testing.assert_close(both[at : at + 1], small(mel[at : at + 1], noise[at : at + 1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_equal_the_whole(small: ParallelWaveGAN, chunk: int) -> None:
    mel = mel_of(61)
    whole = vocode(small, mel, np.random.default_rng(3))
    assert whole.shape == (300 * 61,)
    assert whole.dtype == np.float32
    assert 1e-2 < np.abs(whole).max() <= 1
    np.testing.assert_allclose(vocode(small, mel, np.random.default_rng(3), chunk), whole, atol=1e-5)
    assert not np.array_equal(vocode(small, mel, np.random.default_rng(4)), whole)
    assert vocode(small, mel[:0], np.random.default_rng(0)).shape == (0,)
    with pytest.raises(ValueError, match="mel spectrogram is"):
        vocode(small, mel.T, np.random.default_rng(0))


def test_the_context_is_the_receptive_field(small: ParallelWaveGAN) -> None:
    network = ParallelWaveGAN(layers=10, stacks=1, channels=4).double()
    mel = torch.randn(1, 31, 80, dtype=torch.double, requires_grad=True)
    samples = network(mel, torch.randn(1, 31 * 300, dtype=torch.double))[0, 300 * 15 : 300 * 16]
    near = [torch.autograd.grad(sample, mel, retain_graph=True)[0][0].any(1).nonzero() for sample in samples[[0, -1]]]
    reach = max(abs(int(edge) - 15) for frames in near for edge in (frames.min(), frames.max()))
    assert reach <= network.context <= reach + 1
    assert small.context == 4


@pytest.mark.parametrize(("stats", "zipped"), [("file", False), ("buffers", True)])
def test_an_archive_in_the_published_layout(tmp_path: Path, stats: str, zipped: bool) -> None:
    path = made_archive(tmp_path, stats=stats, steps=(5000, 90_000, 1_000_000), zipped=zipped)
    check_archive(path, AGAIN)
    network = load_parallel_wavegan(path, AGAIN)
    assert not network.training
    torch.testing.assert_close(network.mean, torch.from_numpy(MEAN).float())
    torch.testing.assert_close(network.scale, torch.from_numpy(SCALE).float())
    for name, one in fold_weights(random_state(published_layout())).items():  # the checkpoint of the most steps
        torch.testing.assert_close(network.state_dict()[name], one)
    samples = vocode(network, mel_of(3), np.random.default_rng(0))
    assert samples.shape == (900,)
    assert np.isfinite(samples).all()
    assert samples.std() > 1e-3


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"<html>Sign in</html>")
    for read in (check_archive, load_parallel_wavegan):
        with pytest.raises(F2VError, match="cannot be read as an archive") as error:
            read(path, AGAIN)
        assert error.value.do == AGAIN
    with pytest.raises(F2VError, match=r"does not fit ParallelWaveGAN.*mean"):
        load_parallel_wavegan(made_archive(tmp_path / "no-stats", stats="none"), AGAIN)
    whole = made_archive(tmp_path / "whole").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(F2VError, match="cannot be read as an archive"):
        load_parallel_wavegan(path, AGAIN)
    (tmp_path / "config.yml").write_text("")
    with tarfile.open(path, "w:gz") as opened:
        opened.add(tmp_path / "config.yml", "config.yml")
    with pytest.raises(F2VError, match=r"contains no checkpoint\*\.pkl"):
        check_archive(path, AGAIN)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    for content in ({"model": [1]}, {"model": {"generator": {"a": torch.ones(1)}}}, {"model": {"generator": [1]}}):
        torch.save(content, tmp_path / "checkpoint-1steps.pkl")
        with tarfile.open(path, "w:gz") as opened:
            opened.add(tmp_path / "checkpoint-1steps.pkl")
        with pytest.raises(F2VError, match="does not fit ParallelWaveGAN"):
            load_parallel_wavegan(path, AGAIN)
    (tmp_path / "stats.h5").write_bytes(b"no HDF5")
    with tarfile.open(path, "w:gz") as opened:
        opened.add(tmp_path / "checkpoint-1steps.pkl")
        opened.add(tmp_path / "stats.h5")
    with pytest.raises(F2VError, match=r"'stats\.h5' in .* cannot be read"):
        load_parallel_wavegan(path, AGAIN)


def test_a_missing_reader_is_reported(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    for read in (check_archive, load_parallel_wavegan):
        with pytest.raises(F2VError, match="need the package h5py") as error:
            read(archive, AGAIN)
        assert error.value.do == "install h5py: uv sync --extra pwg"
    check_archive(made_archive(tmp_path, stats="buffers"), AGAIN)
