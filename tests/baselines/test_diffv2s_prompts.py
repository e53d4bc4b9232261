"""The prompts of DiffV2S read a sequence that does not notice."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from baselines.diffv2s.config import PromptEncoderConfig
from baselines.diffv2s.prompts import PromptedBlock, PromptEncoder
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.layers.transformer import TransformerBlock
from tests.nn.test_transformer import awake, seeded

WIDTH, PROMPTS = 16, 3
CONFIG = PromptEncoderConfig(width=WIDTH, blocks=2, heads=2, prompts=PROMPTS)


def reader(blocks: int = 2) -> PromptEncoder:
    return awake(PromptEncoder(PromptEncoderConfig(width=WIDTH, blocks=blocks, heads=2, prompts=PROMPTS)))


def frames(*lengths: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(lengths)
    x = torch.randn(len(lengths), longest, WIDTH, generator=seeded(seed))
    return x, valid_mask(torch.tensor(lengths), longest)


@torch.no_grad()
def test_the_sequence_is_what_it_is_without_prompts() -> None:
    """To the bit: with prompts, with others, with something beside it, and through blocks that know of none."""
    x, mask = frames(7, 4)
    network = reader()
    seen, speaker = network(x, mask)
    plain = x
    for prompted in network.blocks:
        block = TransformerBlock(WIDTH, 2)
        block.load_state_dict(prompted.state_dict())
        plain = block.eval()(plain, mask)
    assert torch.equal(seen, plain)
    assert torch.equal(network(x, mask, torch.randn(2, 5, WIDTH))[0], plain)
    network.prompts.neg_()
    changed, other = network(x, mask)
    assert torch.equal(changed, plain)
    assert (other - speaker).abs().max() > 1e-3


@torch.no_grad()
def test_the_prompts_read_the_sequence_and_what_is_beside_it() -> None:
    x, mask = frames(7, 4)
    network = reader()
    _, speaker = network(x, mask)
    torch.testing.assert_close(speaker.norm(dim=1), torch.ones(2))
    _, other = network(frames(7, 4, seed=1)[0], mask)
    assert (other - speaker).abs().amax(1).min() > 1e-3
    beside = torch.randn(2, 2, WIDTH, generator=seeded(5))
    _, both = network(x, mask, beside)
    assert (both - speaker).abs().amax(1).min() > 1e-3
    torch.testing.assert_close(network(x, mask, beside.flip(1))[1], both, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_reading_is_attention_under_a_mask_of_all_to_all() -> None:
    """One attention over prompts and frames, masked so that frames attend to frames; ``read`` gives the prompts."""
    x, mask = frames(6, 4)
    block = awake(PromptedBlock(WIDTH, 2))
    prompts = torch.randn(2, PROMPTS, WIDTH, generator=seeded(3))
    whole = torch.cat([prompts, x], dim=1)
    count = whole.shape[1]
    allowed = torch.ones(2, count, count, dtype=torch.bool)
    allowed[:, PROMPTS:, :PROMPTS] = False  # frames do not see prompts
    allowed[:, :, PROMPTS:] &= mask[:, None]
    query, key, value = block.attention.project_in(block.attention_norm(whole)).chunk(3, dim=2)
    heads = []
    for at in range(0, WIDTH, 8):
        q, k, v = (part[..., at : at + 8] for part in (query, key, value))
        heads.append((q @ k.transpose(1, 2) / 8**0.5).masked_fill(~allowed, -torch.inf).softmax(2) @ v)
    mixed = whole + block.attention.project_out(torch.cat(heads, dim=2))
    expected = (mixed + block.ffn(block.ffn_norm(mixed)))[:, :PROMPTS]
    torch.testing.assert_close(block.update_prompts(prompts, x, mask), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_embedding_does_not_depend_on_frame_order() -> None:
    x, mask = frames(8)
    network = reader(blocks=1)
    torch.testing.assert_close(network(x.flip(1), mask)[1], network(x, mask)[1], atol=1e-5, rtol=1e-5)


@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=10)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    x, _ = frames(*lengths)
    x = functional.pad(x, (0, 0, 0, beyond), value=7.0)
    mask, beside = valid_mask(torch.tensor(lengths), x.shape[1]), torch.randn(len(lengths), 2, WIDTH)
    network = reader()
    seen, speaker = network(x, mask, beside)
    for at, length in enumerate(lengths):
        one = slice(at, at + 1)
        alone, voice = network(x[one, :length], mask[one, :length], beside[one])
        torch.testing.assert_close(seen[one, :length], alone, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(speaker[one], voice, atol=1e-4, rtol=1e-4)
