from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.layers.transformer import (
    AdaptiveLayerNorm,
    ChannelDropout,
    ConvBlock,
    SelfAttention,
    TimeEmbedding,
    TransformerBlock,
    apply_rotary,
)

M = TypeVar("M", bound=nn.Module)
WIDTH = 32


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awake(module: M, seed: int = 0) -> M:
    """Draw all parameters at random, also those that start at zero, so that every path has an effect."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2, generator=generator)
    return module.eval()


class _Conditioned(nn.Module):
    """Conditional block with the signature of the others and a fixed condition."""

    def __init__(self) -> None:
        super().__init__()
        self.block = ConvBlock(WIDTH, 5, condition=3)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.block(x, mask, torch.ones(len(x), 3))


BLOCKS = {
    "transformer": lambda: TransformerBlock(WIDTH, 4, dropout=0.1),
    "convolution": lambda: ConvBlock(WIDTH, 7, dropout=0.1),
    "conditional": _Conditioned,
}


@pytest.mark.parametrize("name", BLOCKS)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    beyond=st.integers(0, 9),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25)
@torch.inference_mode()
def test_a_clip_in_a_batch_is_the_clip_alone(name: str, lengths: list[int], beyond: int, seed: int) -> None:
    """Values and length of the padding have no effect."""
    block = awake(BLOCKS[name](), seed)
    longest = max(lengths) + beyond
    x = 5 * torch.randn(len(lengths), longest, WIDTH, generator=seeded(seed))
    together = block(x, valid_mask(torch.tensor(lengths), longest))
    assert together.isfinite().all()
    for clip, length in enumerate(lengths):
        alone = block(x[clip : clip + 1, :length], torch.ones(1, length, dtype=torch.bool))
        torch.testing.assert_close(together[clip : clip + 1, :length], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_padding_gets_no_gradient_from_real_frames(name: str) -> None:
    x = torch.randn(2, 9, WIDTH, generator=seeded(), requires_grad=True)
    mask = valid_mask(torch.tensor([9, 4]), 9)
    awake(BLOCKS[name]())(x, mask)[mask].sum().backward()
    assert x.grad is not None
    assert (x.grad[~mask] == 0).all()
    assert (x.grad[mask] != 0).any(1).all()


def test_rotary_products_depend_on_distances_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 16, generator=seeded()).expand(2, 1, 1, 12, 16)
    products = (apply_rotary(query) @ apply_rotary(key).transpose(2, 3))[0, 0]  # (12, 12), the same pair at all places
    for distance in range(-11, 12):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)
    assert products[0].std() > 0.1  # and distances do differ
    torch.testing.assert_close(apply_rotary(query).norm(dim=3), query.norm(dim=3))
    torch.testing.assert_close(apply_rotary(query)[..., 0, :], query[..., 0, :])


@torch.inference_mode()
def test_attention_equals_its_formula() -> None:
    attention = awake(SelfAttention(WIDTH, 4))
    x = torch.randn(1, 6, WIDTH, generator=seeded())
    mask = torch.tensor([[True, True, False, True, True, False]])  # gaps are treated as padding
    query, key, value = attention.project_in(x)[0].chunk(3, dim=1)  # (6, 32) each
    heads = []
    for at in range(0, WIDTH, 8):
        q, k = (apply_rotary(part[None, None, :, at : at + 8])[0, 0] for part in (query, key))
        scores = (q @ k.T / 8**0.5).masked_fill(~mask, -torch.inf)
        heads.append(scores.softmax(1) @ value[:, at : at + 8])
    expected = attention.project_out(torch.cat(heads, dim=1))
    torch.testing.assert_close(attention(x, mask)[0], expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_transformer_depends_on_the_order_of_frames() -> None:
    block = awake(TransformerBlock(WIDTH, 2))
    x, mask = torch.randn(1, 8, WIDTH, generator=seeded()), torch.ones(1, 8, dtype=torch.bool)
    assert not torch.allclose(block(x.flip(1), mask).flip(1), block(x, mask), atol=1e-2)


@torch.inference_mode()
def test_a_convolution_block_equals_its_formula() -> None:
    block = awake(ConvBlock(WIDTH, 5, hidden=48))
    x = torch.randn(2, 11, WIDTH, generator=seeded())
    mixed = block.depthwise(x.transpose(1, 2)).transpose(1, 2)  # torch's own convolution over time
    hidden = torch.nn.functional.gelu(block.ffn.fc1(block.norm(mixed)))
    expected = x + block.scale * block.ffn.fc2(hidden)
    assert hidden.shape[2] == 48
    torch.testing.assert_close(block(x, torch.ones(2, 11, dtype=torch.bool)), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_receptive_field_of_a_convolution_block_is_its_kernel() -> None:
    block = awake(ConvBlock(WIDTH, 7))
    x, mask = torch.randn(1, 21, WIDTH, generator=seeded()), torch.ones(1, 21, dtype=torch.bool)
    changed = x.clone()
    changed[:, 10] += 1
    moved = (block(x, mask) != block(changed, mask)).any(2)[0]
    assert moved.nonzero().flatten().tolist() == list(range(7, 14))


def test_an_adaptive_norm_starts_plain_and_depends_on_its_condition() -> None:
    norm = AdaptiveLayerNorm(WIDTH, 3)
    x, condition = torch.randn(2, 5, WIDTH, generator=seeded()), torch.randn(2, 3, generator=seeded(1))
    plain = nn.functional.layer_norm(x, (WIDTH,))
    torch.testing.assert_close(norm(x, condition), plain)
    awake(norm)
    scale, shift = (condition @ norm.project.weight.T + norm.project.bias).chunk(2, dim=1)
    expected = plain * (1 + scale[:, None]) + shift[:, None]
    torch.testing.assert_close(norm(x, condition), expected)
    each = condition[:, None].expand(2, 5, 3)  # the same condition for each frame
    torch.testing.assert_close(norm(x, each), expected)


def test_dropout_removes_whole_channels_in_training_alone() -> None:
    dropout, x = ChannelDropout(0.25), torch.ones(64, 5, 128)
    torch.manual_seed(0)
    out = dropout(x)
    assert torch.equal(out, out[:, :1].expand_as(out))
    torch.testing.assert_close(out.unique(), torch.tensor([0, 1 / 0.75]))
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert dropout.eval()(x) is x


def test_time_embeddings_differ_smoothly() -> None:
    times = torch.linspace(0, 1, 101)
    embedded = awake(TimeEmbedding(WIDTH))(times)
    assert embedded.shape == (101, WIDTH)
    step = (embedded[1:] - embedded[:-1]).norm(dim=1)
    assert (step > 0).all()
    assert step.max() < embedded.std(0).norm()  # neighbors are closer than distant times


@pytest.mark.parametrize("name", BLOCKS)
def test_bfloat16_works(name: str) -> None:
    block = awake(BLOCKS[name]()).train()
    x, mask = torch.randn(2, 9, WIDTH, generator=seeded()), valid_mask(torch.tensor([9, 4]), 9)
    with torch.autocast("cpu", torch.bfloat16):
        out = block(x, mask)
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        near = block.eval()(x, mask)[mask].float()
    exact = block(x, mask)[mask]
    assert (near - exact).norm() < 0.02 * exact.norm()


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="width 30 with 4 attention heads is no multiple of 8"):
        TransformerBlock(30, 4)
    with pytest.raises(ValueError, match="kernel of 4 frames is not odd"):
        ConvBlock(WIDTH, 4)
