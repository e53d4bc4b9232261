from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.nn.layers.conformer import (
    ConformerBlock,
    ConvolutionModule,
    RelativeAttention,
    relative_positions,
    relative_shift,
)
from f2v_bench.nn.layers.masking import valid_mask
from tests.nn.published import randomized


def test_attention_equals_its_formula() -> None:
    """Compare with scores computed pair by pair, with the sinusoids of i - j."""
    torch.manual_seed(0)
    attention = RelativeAttention(8, 2).double()
    x, mask = torch.randn(1, 5, 8).double(), torch.tensor([[True, True, True, True, False]])
    query, key, value = (part(x)[0].view(5, 2, 4) for part in (attention.query, attention.key, attention.value))
    expected = torch.zeros(5, 2, 4).double()
    for head in range(2):
        u, v = attention.bias_content[head, 0], attention.bias_position[head, 0]
        for i in range(5):
            scores = []
            for j in range(4):  # the last frame is padding
                angle = torch.tensor([i - j, (i - j) / 10, (i - j) / 100, (i - j) / 1000]).double()
                sines = torch.stack([angle.sin(), angle.cos()], dim=1).flatten()
                position = attention.position(sines)[4 * head : 4 * head + 4]
                scores.append((query[i, head] + u) @ key[j, head] + (query[i, head] + v) @ position)
            weights = (torch.stack(scores) / 2).softmax(0)
            expected[i, head] = weights @ value[:4, head]
    torch.testing.assert_close(attention(x, mask)[0], attention.out(expected.flatten(1)), atol=1e-6, rtol=1e-5)


@given(frames=st.integers(1, 7))
@settings(max_examples=7)
def test_relative_shift_selects_each_distance(frames: int) -> None:
    by_distance = torch.arange(frames - 1, -frames, -1).expand(2, 3, frames, -1)
    rows, columns = torch.meshgrid(torch.arange(frames), torch.arange(frames), indexing="ij")
    assert torch.equal(relative_shift(by_distance), (rows - columns).expand(2, 3, -1, -1))


def test_relative_positions_are_sinusoids() -> None:
    found = relative_positions(3, 4)
    assert found.shape == (5, 4)
    torch.testing.assert_close(found[2], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    torch.testing.assert_close(found[0], torch.tensor([2.0, 2.0, 0.02, 0.02]).sin() * torch.tensor([1, 0, 1, 0])
                               + torch.tensor([2.0, 2.0, 0.02, 0.02]).cos() * torch.tensor([0, 1, 0, 1]))  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@given(lengths=st.lists(st.integers(1, 12), min_size=2, max_size=4), beyond=st.integers(0, 4))
@settings(max_examples=10)
def test_padding_changes_nothing(training: bool, lengths: list[int], beyond: int) -> None:
    """Padding of any value and length is ignored; in training, too, since batch norm counts real frames alone."""
    torch.manual_seed(0)
    block = randomized(ConformerBlock(16, 4, 32, 5, dropout=0.0)).train(training)
    longest = max(lengths)
    x, mask = torch.randn(len(lengths), longest, 16), valid_mask(torch.tensor(lengths), longest)
    wide = torch.cat([x, 5 * torch.randn(len(lengths), beyond, 16)], dim=1)
    wide = torch.where(torch.nn.functional.pad(mask, (0, beyond))[..., None], wide, 7.0)
    if training and int(mask.sum()) < 2:
        return
    with torch.no_grad():
        tight = block(x * mask[..., None], mask)
        loose = block(wide, torch.nn.functional.pad(mask, (0, beyond)))[:, :longest]
    torch.testing.assert_close(loose[mask], tight[mask], atol=1e-5, rtol=1e-4)


def test_a_clip_alone_is_the_clip_in_a_batch() -> None:
    torch.manual_seed(0)
    block = randomized(ConformerBlock(16, 2, 32, 31)).eval()
    x, mask = torch.randn(2, 40, 16), valid_mask(torch.tensor([40, 17]), 40)
    with torch.no_grad():
        both = block(x, mask)
        alone = block(x[1:, :17], mask[1:, :17])
    torch.testing.assert_close(both[1:, :17], alone, atol=1e-5, rtol=1e-5)
    assert float(alone.std()) > 0.1


@pytest.mark.parametrize(("width", "heads", "count"), [(256, 4, 2_639_616), (512, 8, 6_323_712)])
def test_a_block_has_as_many_weights_as_espnet_s(width: int, heads: int, count: int) -> None:
    """Two feed-forward modules of 2048, five projections, a gated convolution of 31 frames, five layer norms."""
    ffn = 2 * (2 * width * 2048 + 2048 + width)
    attention = 4 * (width**2 + width) + width**2 + 2 * width
    convolution = 2 * (width**2 + width) + 31 * width + width + 2 * width + width**2 + width
    block = ConformerBlock(width, heads)
    found = sum(parameter.numel() for parameter in block.parameters())
    assert found == ffn + attention + convolution + 10 * width == count


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="width 10 is not divisible by 4 attention heads"):
        RelativeAttention(10, 4)
    with pytest.raises(ValueError, match="kernel of 4 frames is not odd"):
        ConvolutionModule(8, 4)
