"""Content stage: masks leak nothing at any depth, and padding changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


def masked_logits(network: ContentEncoder, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return network.masked_logits(network.lips(lips), mask)


@pytest.mark.parametrize("blocks", [1, 2, 3, 6])
@pytest.mark.parametrize("kernel", [3, 9])
def test_a_masked_center_has_no_influence_on_itself_at_any_depth(blocks: int, kernel: int) -> None:
    network, lips = content(blocks=blocks, kernel=kernel), features(1, 21)
    mask = torch.ones(1, 21, dtype=torch.bool)
    with torch.no_grad():
        before = masked_logits(network, lips, mask)[0].view(21, 2, -1)
        for frame in (0, 3, 10, 20):
            changed = lips.clone()
            changed[0, frame] *= -1  # adding the same to all channels would be normed away
            moved = (masked_logits(network, changed, mask)[0].view(21, 2, -1) - before).abs().amax((1, 2))
            reach = range(max(0, frame - kernel // 2), min(21, frame + kernel // 2 + 1))
            assert moved[frame] == 0
            assert all(moved[near] > 1e-4 for near in reach if near != frame)


def test_the_ordinary_stream_depends_on_the_frame_itself() -> None:
    network, lips = content(), features(1, 9)
    mask = torch.ones(1, 9, dtype=torch.bool)
    changed = lips.clone()
    changed[0, 4] *= -1
    with torch.no_grad():
        moved = (network(changed, mask)[1] - network(lips, mask)[1]).abs().amax(2)[0]
    assert (moved[8:10] > 1e-4).all()


@torch.no_grad()
def test_the_masked_loss_of_a_frame_does_not_depend_on_the_frame() -> None:
    """The same through ``loss``, as training calls it."""
    network, lips = content(mask="center"), features(1, 9)
    mask, labels = torch.ones(1, 9, dtype=torch.bool), torch.full((1, 18), IGNORE_INDEX)
    labels[0, 8:10] = torch.tensor([2, 5])  # only frame 4 is scored
    changed, beside = lips.clone(), lips.clone()
    changed[0, 4] *= -1
    beside[0, 5] *= -1
    before, after, near = (network.loss(one, mask, labels)[1] for one in (lips, changed, beside))
    assert after["units_masked"] == before["units_masked"]
    assert abs(after["units"] - before["units"]) > 1e-3
    assert abs(near["units_masked"] - before["units_masked"]) > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("blocks", [1, 3])
def test_masked_spans_have_no_influence_on_themselves(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, lips = content(mask="span", blocks=blocks), features(2, 12)
    mask, hidden = torch.ones(2, 12, dtype=torch.bool), torch.zeros(2, 12, dtype=torch.bool)
    hidden[:, 4:8] = True
    monkeypatch.setattr(module, "mask_spans", lambda *_: hidden)
    units = torch.randint(UNITS, (2, 24), generator=seeded())
    _, before = network.loss(lips, mask, units)
    changed = torch.where(hidden[..., None, None], -lips, lips)
    _, after = network.loss(changed, mask, units)
    assert after["units_masked"] == before["units_masked"]
    assert abs(after["units"] - before["units"]) > 1e-3
    beside = lips.clone()
    beside[:, 3] *= -1
    assert abs(network.loss(beside, mask, units)[1]["units_masked"] - before["units_masked"]) > 1e-3


@torch.no_grad()
def test_only_hidden_frames_are_scored_in_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    network, lips = content(mask="span"), features(1, 12)
    mask, hidden = torch.ones(1, 12, dtype=torch.bool), torch.zeros(1, 12, dtype=torch.bool)
    hidden[:, 4:8] = True
    monkeypatch.setattr(module, "mask_spans", lambda *_: hidden)
    units = torch.zeros(1, 24, dtype=torch.long)
    other = torch.where(hidden.repeat_interleave(2, 1), units, units + 1)
    first, second = (network.loss(lips, mask, one)[1] for one in (units, other))
    assert first["units_masked"] == second["units_masked"]
    assert first["units"] != second["units"]


@pytest.mark.parametrize("mask", ["center", "span"])
def test_every_parameter_learns(mask: str) -> None:
    network = content(mask=mask)
    torch.manual_seed(0)
    _, parts = network.loss(features(2, 30), torch.ones(2, 30, dtype=torch.bool), torch.ones(2, 60, dtype=torch.long))
    (parts["units"] + parts["units_masked"]).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), beyond=st.integers(0, 5))
@settings(max_examples=20)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    network, longest = content(), max(lengths) + beyond
    lips, mask = features(len(lengths), longest), valid_mask(torch.tensor(lengths), longest)
    encoded, logits = network(lips, mask)
    masked = masked_logits(network, lips, mask)
    assert logits.shape == masked.shape == (len(lengths), 2 * longest, UNITS)
    for clip, length in enumerate(lengths):
        one, real = lips[clip : clip + 1, :length], mask[clip : clip + 1, :length]
        content_alone, logits_alone = network(one, real)
        torch.testing.assert_close(encoded[clip : clip + 1, :length], content_alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logits[clip : clip + 1, : 2 * length], logits_alone, atol=1e-5, rtol=1e-5)
        masked_alone = masked_logits(network, one, real)
        torch.testing.assert_close(masked[clip : clip + 1, : 2 * length], masked_alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_losses_are_means_over_real_frames() -> None:
    network, lips = content(), features(2, 10)
    units = torch.randint(UNITS, (2, 20), generator=seeded(3))
    _, together = network.loss(lips, valid_mask(torch.tensor([10, 5]), 10), units)
    apart = [
        network.loss(lips[i : i + 1, :n], torch.ones(1, n, dtype=torch.bool), units[i : i + 1, : 2 * n])[1]
        for i, n in enumerate((10, 5))
    ]
    for name in ("units", "units_masked"):
        torch.testing.assert_close(together[name], (2 * apart[0][name] + apart[1][name]) / 3)


@torch.no_grad()
def test_a_layer_sum_takes_each_layer_at_its_own_scale() -> None:
    layers = WeightedLayerSum(LAYERS, CHANNELS, CHANNELS)
    layers.project.weight.copy_(torch.eye(CHANNELS))
    layers.project.bias.zero_()
    lips = features(1, 4)
    normed = torch.nn.functional.layer_norm(lips, (CHANNELS,))
    torch.testing.assert_close(layers(lips), normed.mean(2))
    torch.testing.assert_close(
        layers(lips * torch.tensor([1.0, 100.0, 7.0])[:, None]), normed.mean(2), atol=1e-4, rtol=0
    )
    layers.layer_weights.copy_(torch.tensor([-100.0, 0.0, -100.0]))
    torch.testing.assert_close(layers(lips), normed[:, :, 1])


@pytest.mark.parametrize("kernel", [0, 4])
def test_a_kernel_without_a_center_is_refused(kernel: int) -> None:
    with pytest.raises(ValueError, match="odd number of frames"):
        MaskedConvBlock(8, kernel, 0.0)
