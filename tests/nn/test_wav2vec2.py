from __future__ import annotations

import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.nn.encoders.wav2vec2 import MIN_SAMPLES, MaskedGroupNorm, TransformerShape, Wav2Vec2, frame_count
from f2v_bench.nn.layers.masking import length_batches, pad_sequences
from tests.nn.published import randomized

SMALL = TransformerShape(layers=2, width=64, heads=4, hidden=128, norm_first=False, position_groups=4)


@pytest.fixture(scope="module")
def network() -> Wav2Vec2:
    torch.manual_seed(0)
    return randomized(Wav2Vec2(SMALL))


def waves(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, generator=generator) * 0.1 for n in lengths]


@torch.inference_mode()
def alone(network: Wav2Vec2, wave: torch.Tensor) -> torch.Tensor:
    return network(wave[None], torch.tensor([len(wave)]))[0][0]


def test_frames_of_samples() -> None:
    """One from 400 samples on, then one more each 320; none below."""
    counts = [frame_count(n) for n in (399, 400, 719, 720, 16_000, 48_000)]
    assert counts == [0, 1, 1, 2, 49, 149]
    assert frame_count(torch.tensor([400, 16_000])).tolist() == [1, 49]


def test_equals_torchaudios_model(network: Wav2Vec2) -> None:
    """An independent implementation with the same weights, mapped as torchaudio maps fairseq's names."""
    theirs = torchaudio.models.wav2vec2_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=None,
        extractor_conv_bias=False,
        encoder_embed_dim=SMALL.width,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=SMALL.position_groups,
        encoder_num_layers=SMALL.layers,
        encoder_num_heads=SMALL.heads,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=SMALL.hidden,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    ).eval()
    state = {to_torchaudio(name): tensor for name, tensor in network.state_dict().items() if name != "mask_emb"}
    assert not theirs.load_state_dict(state, strict=False).missing_keys
    [wave] = waves(16_400)
    with torch.inference_mode():
        expected = theirs.extract_features(wave[None])[0][-1][0]
    torch.testing.assert_close(alone(network, wave), expected, atol=2e-5, rtol=1e-4)


def to_torchaudio(name: str) -> str:
    for old, new in (
        ("feature_extractor.conv_layers.0.2.", "feature_extractor.conv_layers.0.layer_norm."),
        ("post_extract_proj.", "encoder.feature_projection.projection."),
        ("encoder.pos_conv.0.weight_g", "encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original0"),
        ("encoder.pos_conv.0.weight_v", "encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original1"),
        ("encoder.pos_conv.0.", "encoder.transformer.pos_conv_embed.conv."),
        ("encoder.layer_norm.", "encoder.transformer.layer_norm."),
        ("layer_norm.", "encoder.feature_projection.layer_norm."),
    ):
        if name.startswith(old):
            return new + name.removeprefix(old)
    name = name.replace("encoder.layers.", "encoder.transformer.layers.").replace("self_attn.", "attention.")
    name = name.replace("self_attn_layer_norm.", "layer_norm.")
    name = name.replace("fc1.", "feed_forward.intermediate_dense.").replace("fc2.", "feed_forward.output_dense.")
    parts = name.split(".")
    if parts[:2] == ["feature_extractor", "conv_layers"] and parts[3] == "0":
        parts[3] = "conv"
    return ".".join(parts)


@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(MIN_SAMPLES, 12_000), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_a_batch_equals_one_by_one(network: Wav2Vec2, lengths: list[int], seed: int) -> None:
    clips = waves(*lengths)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed)).tolist()
    batch, counts = pad_sequences([clips[i].numpy() for i in order])
    with torch.inference_mode():
        found, frames = network(batch, counts)
    for row, count, i in zip(found, frames.tolist(), order, strict=True):
        torch.testing.assert_close(row[:count], alone(network, clips[i]), atol=1e-5, rtol=1e-5)


def test_extreme_ratios_and_zeros_at_the_end(network: Wav2Vec2) -> None:
    """One frame beside two seconds; and a clip that ends in silence of its own is not taken for padding."""
    clips = waves(MIN_SAMPLES, 32_000, 4_000)
    clips.append(torch.cat([clips[2], torch.zeros(4_000)]))
    batch, counts = pad_sequences([clip.numpy() for clip in clips])
    with torch.inference_mode():
        found, frames = network(batch, counts)
    for row, count, clip in zip(found, frames.tolist(), clips, strict=True):
        torch.testing.assert_close(row[:count], alone(network, clip), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found[2, : frames[2]], found[3, : frames[2]], atol=1e-3)


def test_group_norm_is_torchs_on_each_clip() -> None:
    norm, theirs = MaskedGroupNorm(8), torch.nn.GroupNorm(8, 8)
    for parameter, value in ((norm.weight, torch.rand(8)), (norm.bias, torch.randn(8))):
        parameter.data = value
    theirs.load_state_dict(norm.state_dict())
    x = 3 + torch.randn(2, 8, 50)
    found = norm(x, torch.tensor([50, 20]))
    torch.testing.assert_close(found[0], theirs(x[:1])[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1, :, :20], theirs(x[1:, :, :20])[0], atol=1e-6, rtol=1e-5)


@given(st.lists(st.integers(1, 1000), max_size=40), st.integers(1, 3000))
def test_length_batches_keep_their_budget(lengths: list[int], budget: int) -> None:
    groups = length_batches(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[i] for i in group) * len(group) <= budget
