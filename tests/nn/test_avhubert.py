from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.fairseq import import_fairseq
from f2v_bench.nn.encoders import avhubert
from f2v_bench.nn.encoders.avhubert import SHAPES, AVHuBERT, encoder_weights, load_avhubert, preprocess
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.encoders.wav2vec2 import TransformerShape
from tests.nn.published import Shapes, published_shapes, randomized, shapes_of

SMALL = TransformerShape(layers=2, width=32, heads=4, hidden=64, norm_first=True, position_kernel=8, position_groups=4)


def on_meta(shape: TransformerShape) -> AVHuBERT:
    with torch.device("meta"):
        return AVHuBERT(shape)


def base_of(large: Shapes) -> Shapes:
    """Return the published Large with the widths of Base: 12 layers, 768 channels, 3072 in the feed-forward module."""
    width = {1024: 768, 2048: 1536, 4096: 3072, 64: 48}

    def narrowed(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if ".resnet." in name:
            return shape
        return tuple(width.get(n, n) for n in shape)

    kept = {name: shape for name, shape in large.items() if not any(f".layers.{n}." in name for n in range(12, 24))}
    return {name: narrowed(name, shape) for name, shape in kept.items()}


def test_names_and_shapes_are_the_published_ones(shared: Path) -> None:
    published = published_shapes(shared, "avhubert_large_encoder")
    large = on_meta(SHAPES["large"])
    assert len(published) == 534
    assert shapes_of(large) == published
    assert shapes_of(on_meta(SHAPES["base"])) == base_of(published)


def test_parameter_counts_and_outputs() -> None:
    counts = {size: sum(p.numel() for p in on_meta(shape).parameters()) for size, shape in SHAPES.items()}
    assert counts == {"base": 102_620_288, "large": 324_622_976}
    for size, shape in SHAPES.items():
        assert shape.norm_first  # in the authors' settings of both sizes
        assert LipEncoderConfig(encoder=f"avhubert-{size}").outputs == (shape.layers + 1, shape.width)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network() -> AVHuBERT:
    torch.manual_seed(0)
    network = AVHuBERT(SMALL)
    randomized(network, spread=0.1)
    return network


@torch.inference_mode()
def test_padding_has_no_effect(network: AVHuBERT) -> None:
    lengths = (6, 1, 9, 3)
    clips = [torch.randn(n, 88, 88) for n in lengths]
    batch = torch.full((len(clips), 9, 88, 88), torch.nan)  # any values in the padding
    mask = torch.zeros(len(clips), 9, dtype=torch.bool)
    for row, clip in enumerate(clips):
        batch[row, : len(clip)] = clip
        mask[row, : len(clip)] = True
    together = network(batch, mask)
    assert [tuple(layer.shape) for layer in together] == [(4, 9, 32)] * 3
    for row, clip in enumerate(clips):
        alone = network(clip[None], torch.ones(1, len(clip), dtype=torch.bool))
        for in_batch, by_itself in zip(together, alone, strict=True):
            torch.testing.assert_close(in_batch[row, : len(clip)], by_itself[0], atol=1e-5, rtol=1e-5)
            assert not in_batch[row, len(clip) :].any()
            assert by_itself.std() > 0.05


@torch.inference_mode()
def test_the_receptive_field_is_five_frames(network: AVHuBERT) -> None:
    """The stem spans two frames on both sides, and nothing else mixes frames."""
    lips, mask = torch.randn(1, 9, 88, 88), torch.ones(1, 9, dtype=torch.bool)
    before = network.feature_extractor_video(lips, mask)
    lips[0, 4] = 0
    moved = (network.feature_extractor_video(lips, mask) - before).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [False, False, True, True, True, True, True, False, False]


@torch.inference_mode()
def test_the_audio_half_is_zero(network: AVHuBERT) -> None:
    """The input of the transformer is the projection of zeros and the video, audio first."""
    lips, mask = torch.randn(2, 3, 88, 88), torch.ones(2, 3, dtype=torch.bool)
    video = network.feature_extractor_video(lips, mask)
    mean, square = video.sum(2, keepdim=True) / 64, video.square().sum(2, keepdim=True) / 64
    spread = torch.rsqrt(square - mean**2 + 1e-5)
    normalized = torch.cat([-mean.expand_as(video), video - mean], 2) * spread
    normalized = normalized * network.layer_norm.weight + network.layer_norm.bias
    expected = network.encoder.embed_positions(network.post_extract_proj(normalized), mask)
    torch.testing.assert_close(network(lips, mask)[0], expected, atol=1e-5, rtol=1e-5)


def test_lips_are_cropped_and_standardized() -> None:
    lips = np.random.default_rng(0).integers(0, 256, (3, 96, 96), dtype=np.uint8)
    pixels = preprocess(lips)
    assert pixels.shape == (3, 88, 88)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, (lips[:, 4:92, 4:92] / 255.0 - 0.421) / 0.165, atol=1e-5)


def published_file(path: Path, network: AVHuBERT, kind: str) -> Path:
    """Return a checkpoint in the authors' layout, with the tensors that only training uses."""
    width = network.post_extract_proj.out_features
    training = {"mask_emb": torch.ones(104), "label_embs_concat": torch.ones(2004, 256)}
    training |= {"final_proj.weight": torch.ones(256, width), "final_proj.bias": torch.ones(256)}
    if kind == "pre-trained":
        model = {**network.state_dict(), **training}
    else:
        encoder = {**network.state_dict(), "mask_emb": training["mask_emb"]}
        model = {f"encoder.w2v_model.{name}": tensor for name, tensor in encoder.items()}
        model |= {"decoder.embed_tokens.weight": torch.ones(4, 8), "decoder.layers.0.fc1.weight": torch.ones(2, 2)}
    torch.save({"args": argparse.Namespace(arch="av_hubert"), "cfg": None, "model": model}, path)
    return path


@pytest.mark.parametrize("kind", ["pre-trained", "fine-tuned"])
def test_the_authors_checkpoints_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: AVHuBERT, kind: str
) -> None:
    monkeypatch.setitem(avhubert.SHAPES, "base", SMALL)
    path = published_file(tmp_path / "a.pt", network, kind)
    for source in (path, import_fairseq(path, "")):
        loaded = load_avhubert(source, "base")
        assert not loaded.training
        assert loaded.state_dict().keys() == network.state_dict().keys()
        for name, tensor in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: AVHuBERT) -> None:
    monkeypatch.setitem(avhubert.SHAPES, "base", SMALL)
    state = network.state_dict()
    for change, why in (
        ({"encoder.more.weight": torch.ones(1)}, "Unexpected"),
        ({"decoder.more.weight": torch.ones(1)}, "Unexpected"),  # a decoder without an encoder's prefix is another file
        ({"layer_norm.weight": torch.ones(10)}, "size mismatch"),
    ):
        torch.save({"model": {**state, **change}}, tmp_path / "other.pt")
        with pytest.raises(F2VError, match=rf"other\.pt' does not fit AVHuBERT: .*{why}") as refused:
            load_avhubert(tmp_path / "other.pt", "base", "fetch it")
        assert refused.value.do == "fetch it"
    missing = {name: tensor for name, tensor in state.items() if name != "layer_norm.bias"}
    assert "layer_norm.bias" not in encoder_weights(missing)
    torch.save({"model": missing}, tmp_path / "other.pt")
    with pytest.raises(F2VError, match="Missing"):
        load_avhubert(tmp_path / "other.pt", "base")
