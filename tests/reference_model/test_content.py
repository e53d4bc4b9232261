"""Content: masks leak nothing at any depth, and padding changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.losses.units import IGNORE_INDEX
from reference_model import content as module
from reference_model.config import ContentConfig
from reference_model.content import ContentEncoder, MaskedConvBlock
from tests.nn.test_transformer import awake, seeded

UNITS, LAYERS, CHANNELS = 7, 3, 6
SMALL = ContentConfig(width=12, blocks=2, kernel=5)


def content(seed: int = 0, **changes: object) -> ContentEncoder:
    return awake(ContentEncoder(replace(SMALL, **changes), (LAYERS, CHANNELS), UNITS), seed)  # type: ignore[arg-type]


def features(clips: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(clips, frames, LAYERS, CHANNELS, generator=seeded(seed))


def masked_logits(network: ContentEncoder, seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return network.masked_logits(network.lips(seen), mask)


@pytest.mark.parametrize("blocks", [1, 2, 3, 6])
@pytest.mark.parametrize("kernel", [3, 9])
def test_a_hidden_centre_says_nothing_of_itself_at_any_depth(blocks: int, kernel: int) -> None:
    network, seen = content(blocks=blocks, kernel=kernel), features(1, 21)
    mask = torch.ones(1, 21, dtype=torch.bool)
    with torch.no_grad():
        before = masked_logits(network, seen, mask)[0].view(21, 2, -1)
        for frame in (0, 3, 10, 20):
            changed = seen.clone()
            changed[0, frame] *= -1  # adding the same to all channels would be normed away
            moved = (masked_logits(network, changed, mask)[0].view(21, 2, -1) - before).abs().amax((1, 2))
            reach = range(max(0, frame - kernel // 2), min(21, frame + kernel // 2 + 1))
            assert moved[frame] == 0
            assert all(moved[near] > 1e-4 for near in reach if near != frame)


def test_the_ordinary_stream_sees_the_frame_itself() -> None:
    network, seen = content(), features(1, 9)
    mask = torch.ones(1, 9, dtype=torch.bool)
    changed = seen.clone()
    changed[0, 4] *= -1
    with torch.no_grad():
        moved = (network(changed, mask)[1] - network(seen, mask)[1]).abs().amax(2)[0]
    assert (moved[8:10] > 1e-4).all()


@torch.no_grad()
def test_the_masked_loss_of_a_frame_does_not_know_the_frame() -> None:
    """The same through ``loss``, as training calls it."""
    network, seen = content(mask="centre"), features(1, 9)
    mask, labels = torch.ones(1, 9, dtype=torch.bool), torch.full((1, 18), IGNORE_INDEX)
    labels[0, 8:10] = torch.tensor([2, 5])  # only frame 4 is scored
    changed, beside = seen.clone(), seen.clone()
    changed[0, 4] *= -1
    beside[0, 5] *= -1
    before, after, near = (network.loss(one, mask, labels) for one in (seen, changed, beside))
    assert after["units_masked"] == before["units_masked"]
    assert abs(after["units"] - before["units"]) > 1e-3
    assert abs(near["units_masked"] - before["units_masked"]) > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("blocks", [1, 3])
def test_hidden_spans_say_nothing_of_themselves(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = content(mask="span", blocks=blocks), features(2, 12)
    mask, hidden = torch.ones(2, 12, dtype=torch.bool), torch.zeros(2, 12, dtype=torch.bool)
    hidden[:, 4:8] = True
    monkeypatch.setattr(module, "spans", lambda *_: hidden)
    units = torch.randint(UNITS, (2, 24), generator=seeded())
    before = network.loss(seen, mask, units)
    changed = torch.where(hidden[..., None, None], -seen, seen)
    after = network.loss(changed, mask, units)
    assert after["units_masked"] == before["units_masked"]
    assert abs(after["units"] - before["units"]) > 1e-3
    beside = seen.clone()
    beside[:, 3] *= -1
    assert abs(network.loss(beside, mask, units)["units_masked"] - before["units_masked"]) > 1e-3


@torch.no_grad()
def test_only_hidden_frames_are_scored_in_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = content(mask="span"), features(1, 12)
    mask, hidden = torch.ones(1, 12, dtype=torch.bool), torch.zeros(1, 12, dtype=torch.bool)
    hidden[:, 4:8] = True
    monkeypatch.setattr(module, "spans", lambda *_: hidden)
    units = torch.zeros(1, 24, dtype=torch.long)
    other = torch.where(hidden.repeat_interleave(2, 1), units, units + 1)
    first, second = (network.loss(seen, mask, one) for one in (units, other))
    assert first["units_masked"] == second["units_masked"]
    assert first["units"] != second["units"]


@pytest.mark.parametrize("mask", ["centre", "span"])
def test_every_parameter_learns(mask: str) -> None:
    network = content(mask=mask)
    torch.manual_seed(0)
    parts = network.loss(features(2, 30), torch.ones(2, 30, dtype=torch.bool), torch.ones(2, 60, dtype=torch.long))
    (parts["units"] + parts["units_masked"]).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), beyond=st.integers(0, 5))
@settings(max_examples=20)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    network, longest = content(), max(lengths) + beyond
    seen, mask = features(len(lengths), longest), valid_mask(torch.tensor(lengths), longest)
    said, logits = network(seen, mask)
    blind = masked_logits(network, seen, mask)
    assert logits.shape == blind.shape == (len(lengths), 2 * longest, UNITS)
    for clip, length in enumerate(lengths):
        one, real = seen[clip : clip + 1, :length], mask[clip : clip + 1, :length]
        said_alone, logits_alone = network(one, real)
        torch.testing.assert_close(said[clip : clip + 1, :length], said_alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logits[clip : clip + 1, : 2 * length], logits_alone, atol=1e-5, rtol=1e-5)
        blind_alone = masked_logits(network, one, real)
        torch.testing.assert_close(blind[clip : clip + 1, : 2 * length], blind_alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_losses_are_means_over_real_frames() -> None:
    network, seen = content(), features(2, 10)
    units = torch.randint(UNITS, (2, 20), generator=seeded(3))
    together = network.loss(seen, valid_mask(torch.tensor([10, 5]), 10), units)
    apart = [
        network.loss(seen[i : i + 1, :n], torch.ones(1, n, dtype=torch.bool), units[i : i + 1, : 2 * n])
        for i, n in enumerate((10, 5))
    ]
    for name in ("units", "units_masked"):
        torch.testing.assert_close(together[name], (2 * apart[0][name] + apart[1][name]) / 3)


@torch.no_grad()
def test_a_layer_sum_takes_each_layer_at_its_own_scale() -> None:
    layers = WeightedLayerSum(LAYERS, CHANNELS, CHANNELS)
    layers.project.weight.copy_(torch.eye(CHANNELS))
    layers.project.bias.zero_()
    seen = features(1, 4)
    normed = torch.nn.functional.layer_norm(seen, (CHANNELS,))
    torch.testing.assert_close(layers(seen), normed.mean(2))
    torch.testing.assert_close(
        layers(seen * torch.tensor([1.0, 100.0, 7.0])[:, None]), normed.mean(2), atol=1e-4, rtol=0
    )
    layers.share.copy_(torch.tensor([-100.0, 0.0, -100.0]))
    torch.testing.assert_close(layers(seen), normed[:, :, 1])


@pytest.mark.parametrize("kernel", [0, 4])
def test_a_kernel_without_a_centre_is_refused(kernel: int) -> None:
    with pytest.raises(F2VError, match="no centre"):
        MaskedConvBlock(8, kernel, 0.0)
