"""OT-CFM against its closed form, its loss, and its samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from f2v_bench.nn.layers.masking import valid_mask
from reference_model import flow
from reference_model.config import FlowConfig
from reference_model.flow import FlowMatching, interpolate, sample_segments, sample_times
from reference_model.solvers import integrate
from reference_model.velocity_net import build_velocity_net
from tests.nn.test_transformer import awake, seeded
from tests.reference_model.gaussians import Gaussian

BINS, FEATURES = 10, 6
SMALL = FlowConfig(width=16, heads=2, dropout=0.1)
SOLVERS = ("euler", "midpoint", "heun", "dopri5", "bosh3", "adaptive_heun")
Clips = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def model(config: FlowConfig = SMALL) -> FlowMatching:
    return awake(FlowMatching(build_velocity_net(config, FEATURES, BINS), config))


def clips(*lengths: int, seed: int = 0) -> Clips:
    """Return a mel or noise, mu, features and the mask."""
    generator, longest = seeded(seed), max(lengths)
    mel, mu, features = (torch.randn(len(lengths), longest, c, generator=generator) for c in (BINS, BINS, FEATURES))
    return mel, mu, features, valid_mask(torch.tensor(lengths), longest)


class Spy(nn.Module):
    """Velocity net that records its inputs and returns zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Tensor, ...]] = []

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        self.calls.append(inputs)
        return torch.zeros_like(inputs[0])


def spied(config: FlowConfig) -> tuple[FlowMatching, Spy]:
    matching, spy = FlowMatching(build_velocity_net(config, FEATURES, BINS), config), Spy()
    matching.velocity_net = spy
    return matching, spy


# OT-CFM against its closed form


@pytest.mark.parametrize("t", [0.0, 0.3, 0.7, 1.0])
def test_the_target_has_the_closed_form_as_its_expectation(t: float) -> None:
    """E[u | x_t] by Monte Carlo: 20 bins of x_t with 20,000 pairs each."""
    data, generator = Gaussian(mean=1.5, deviation=0.4, sigma_min=0.1), seeded()
    x0, x1 = torch.randn(2, 400_000, dtype=torch.float64, generator=generator)
    x, u = interpolate(x0, data.mean + data.deviation * x1, torch.full_like(x0, t), data.sigma_min)
    order = x.argsort().view(20, -1)
    expected = data.velocity(x, torch.tensor(t, dtype=torch.float64))
    error = u[order].mean(1) - expected[order].mean(1)
    uncertainty = (u - expected)[order].std(1) / order.shape[1] ** 0.5
    assert (error.abs() <= 4.5 * uncertainty + 1e-9).all()


def test_the_line_runs_from_noise_to_data() -> None:
    x0, x1 = torch.randn(2, 3, 4, 5, generator=seeded())
    start, u = interpolate(x0, x1, torch.zeros(3), 0.1)
    end, _ = interpolate(x0, x1, torch.ones(3), 0.1)
    torch.testing.assert_close(start, x0)
    torch.testing.assert_close(end, x1 + 0.1 * x0)
    torch.testing.assert_close(end - start, u)


def test_the_closed_form_carries_noise_to_the_data() -> None:
    data = Gaussian(mean=-0.7, deviation=0.3)
    x0 = torch.randn(5_000, dtype=torch.float64, generator=seeded())
    x1, _ = integrate(data.velocity, x0, solver="dopri5", rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(x1, data.flow(x0), atol=1e-7, rtol=0)
    assert x1.mean().item() == pytest.approx(data.mean, abs=0.02)
    assert x1.std().item() == pytest.approx(data.deviation, abs=0.02)


@pytest.mark.slow
def test_a_network_learns_the_field_of_normal_data() -> None:
    """Two kinds of clip with different features, each normal: field and samples match the closed form."""
    torch.manual_seed(0)
    kinds = Gaussian(mean=1.0, deviation=0.3), Gaussian(mean=-1.0, deviation=0.3)
    config = FlowConfig(width=32, heads=1, depth=0, blocks=0, dropout=0.0, condition_dropout=0.0)
    matching = FlowMatching(build_velocity_net(config, features=1, n_mels=1), config)
    optimizer = torch.optim.Adam(matching.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.012, total_steps=200)
    sign = torch.tensor([1.0, -1.0]).repeat(128)[:, None, None].expand(256, 4, 1)  # (B, T, 1)
    mask, mu = torch.ones(256, 4, dtype=torch.bool), torch.zeros(256, 4, 1)
    for _ in range(200):
        loss = matching.loss(sign + 0.3 * torch.randn(256, 4, 1), mu, sign, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    noise = torch.randn(256, 4, 1)
    for t in torch.tensor([0.1, 0.5, 0.9]):
        where, _ = interpolate(noise, sign + 0.3 * noise.flip(0), t.expand(256), config.sigma_min)
        with torch.no_grad():
            v = matching.velocity_net(where, t.expand(256), mu, sign, mask)
        for kind, data in enumerate(kinds):
            error = (v - data.velocity(where, t))[kind::2]
            assert error.square().mean().sqrt() < 0.1
    mel, _ = matching.sample(noise, mu, sign, mask, steps=20, solver="midpoint", guidance=1)
    for kind, data in enumerate(kinds):
        assert mel[kind::2].mean().item() == pytest.approx(data.mean, abs=0.05)
        assert mel[kind::2].std().item() == pytest.approx(data.deviation, abs=0.05)


# The loss


def test_the_loss_is_the_mean_over_real_frames_and_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    mel, mu, features, mask = clips(9, 4)
    t = torch.tensor([0.25, 0.75])
    monkeypatch.setattr(flow, "sample_times", lambda *_: t)
    matching = model()
    found = matching.loss(mel, mu, features, mask, seeded(7))
    x0 = torch.randn(mel.shape, generator=seeded(7))
    keep = 1 - SMALL.sigma_min
    x = (1 - keep * t[:, None, None]) * x0 + t[:, None, None] * mel
    squares = (matching.velocity_net(x, t, mu, features, mask) - (mel - keep * x0)) ** 2
    expected = (squares[0].sum() + squares[1, :4].sum()) / (13 * BINS)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_the_loss_ignores_padded_frames(training: bool) -> None:
    mel, mu, features, mask = clips(9, 4)
    matching = model(replace(SMALL, dropout=0.0, condition_dropout=0.0, segment=6)).train(training)
    before = matching.loss(mel, mu, features, mask, seeded(1))
    for tensor in (mel, mu, features):
        tensor[~mask] += 100
    torch.testing.assert_close(matching.loss(mel, mu, features, mask, seeded(1)), before)
    mel[1, 3] += 1  # a real one is not ignored
    assert abs(matching.loss(mel, mu, features, mask, seeded(1)) - before) > 1e-3


def test_the_loss_follows_its_generator() -> None:
    inputs, matching = clips(9, 4), model()
    losses = [matching.loss(*inputs, seeded(seed)).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_the_condition_is_dropped_for_whole_clips_in_training_alone() -> None:
    mel, mu, features, mask = clips(*[5] * 4000)
    matching, spy = spied(replace(SMALL, condition_dropout=0.2))
    matching.train().loss(mel, mu, features, mask, seeded())
    net_mu, net_features = spy.calls[0][2:4]
    hidden = (net_mu == 0).all(2).all(1)
    assert hidden.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert not net_features[hidden].any()
    assert torch.equal(net_mu[~hidden], mu[~hidden])
    assert torch.equal(net_features[~hidden], features[~hidden])
    matching.eval().loss(mel, mu, features, mask, seeded())
    assert spy.calls[1][2] is mu
    assert spy.calls[1][3] is features


def test_times_are_uniform() -> None:
    times = sample_times(20_000, torch.device("cpu"), seeded())
    torch.testing.assert_close(times.sort().values, torch.linspace(0, 1, 20_000), atol=0.02, rtol=0)


def test_segments_lie_within_their_clips() -> None:
    mask = valid_mask(torch.tensor([20, 12, 8, 3]), 20)
    draws = torch.stack([sample_segments(mask, 8, seeded(seed)) for seed in range(300)])  # (300, 4, 8)
    starts = draws[..., 0]
    assert (draws == starts[..., None] + torch.arange(8)).all()
    assert [sorted(set(column.tolist())) for column in starts.T] == [list(range(13)), list(range(5)), [0], [0]]


def test_training_uses_a_segment_of_each_clip() -> None:
    mel, mu, features, mask = clips(20, 5)
    at = torch.arange(20.0).expand(2, 20)[..., None]  # the frame's own number, in every tensor
    matching, spy = spied(replace(SMALL, segment=8, condition_dropout=0.0))
    matching.train().loss(mel, mu * 0 + at, features * 0 + at, mask, seeded(4))
    x, _, net_mu, net_features, net_mask = spy.calls[0]
    assert x.shape == (2, 8, BINS)
    start = int(net_mu[0, 0, 0])
    assert start > 0  # else the seed is a poor one
    assert net_mu[0, :, 0].tolist() == net_features[0, :, 0].tolist() == list(range(start, start + 8))
    assert net_mask.sum(1).tolist() == [8, 5]
    matching.eval().loss(mel, mu, features, mask)
    assert spy.calls[1][0].shape == (2, 20, BINS)


# Samples


@pytest.mark.parametrize("decoder", ["unet", "dit"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_clip_alone_is_the_clip_in_a_batch(decoder: str, solver: str, guidance: float) -> None:
    noise, mu, features, mask = clips(11, 1, 6)
    matching = model(replace(SMALL, decoder=decoder))
    options = {"steps": 3, "solver": solver, "guidance": guidance, "rtol": 1e-2, "atol": 1e-2}
    together, evaluations = matching.sample(noise, mu, features, mask, **options)
    assert together.std() > 0.1
    assert not together[~mask].any()
    for clip, length in enumerate((11, 1, 6)):
        of = slice(clip, clip + 1)
        inputs = (x[of, :length] for x in (noise, mu, features, mask))
        alone, count = matching.sample(*inputs, **options)
        torch.testing.assert_close(together[of, :length], alone, atol=1e-5, rtol=1e-5)
        assert torch.equal(evaluations[of], count)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
def test_guidance_of_one_is_the_conditional_field_alone(solver: str) -> None:
    noise, mu, features, mask = clips(7, 5)
    matching = model()

    def conditional(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return matching.velocity_net(x, t.expand(2), mu, features, mask)

    with torch.no_grad():
        expected, calls = integrate(conditional, noise, solver=solver, steps=4)
    found, evaluations = matching.sample(noise, mu, features, mask, steps=4, solver=solver, guidance=1)
    assert torch.equal(found, expected * mask[..., None])
    assert evaluations.tolist() == [calls, calls]


def test_guidance_leads_away_from_the_unconditional_field() -> None:
    noise, mu, features, mask = clips(7, 5)
    matching = model()

    def guided(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        without = matching.velocity_net(x, t.expand(2), torch.zeros_like(mu), torch.zeros_like(features), mask)
        return without + 2.5 * (matching.velocity_net(x, t.expand(2), mu, features, mask) - without)

    with torch.no_grad():
        expected, _ = integrate(guided, noise, solver="heun", steps=3)
    found, _ = matching.sample(noise, mu, features, mask, steps=3, solver="heun", guidance=2.5)
    torch.testing.assert_close(found, expected * mask[..., None], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("solver", "each"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
@pytest.mark.parametrize(("guidance", "halves"), [(1.0, 1), (2.0, 2), (0.0, 2)])
def test_evaluations_are_those_of_the_velocity_net(solver: str, each: int, guidance: float, halves: int) -> None:
    matching, spy = spied(SMALL)
    _, evaluations = matching.sample(*clips(7, 5, 2), steps=5, solver=solver, guidance=guidance)
    assert evaluations.tolist() == [5 * each * halves] * 3
    assert [len(call[0]) for call in spy.calls] == [3 * halves] * (5 * each)  # both halves in one batch


@pytest.mark.slow
def test_an_adaptive_solver_matches_many_small_steps() -> None:
    inputs, matching = clips(7, 4), model()
    fine, _ = matching.sample(*inputs, steps=400, solver="euler", guidance=1)
    found, evaluations = matching.sample(*inputs, steps=1, solver="dopri5", guidance=1, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, fine, atol=0.02, rtol=0)
    assert (evaluations < 400).all()


def test_samples_follow_noise_and_temperature() -> None:
    noise, mu, features, mask = clips(7, 5)
    matching = model()
    options = {"steps": 3, "solver": "euler", "guidance": 1.0}
    first, _ = matching.sample(noise, mu, features, mask, **options)
    again, _ = matching.sample(noise, mu, features, mask, **options)
    assert torch.equal(first, again)
    other, _ = matching.sample(-noise, mu, features, mask, **options)
    assert not torch.allclose(first, other)
    cold, _ = matching.sample(noise, mu, features, mask, temperature=0.5, **options)
    torch.testing.assert_close(cold, matching.sample(0.5 * noise, mu, features, mask, **options)[0])


@pytest.mark.parametrize("solver", ["euler", "dopri5"])
def test_bfloat16_is_close_to_float32(solver: str) -> None:
    inputs, matching = clips(7, 5), model()
    exact, _ = matching.sample(*inputs, steps=3, solver=solver, guidance=2)
    with torch.autocast("cpu", torch.bfloat16):
        near, _ = matching.sample(*inputs, steps=3, solver=solver, guidance=2, rtol=1e-1, atol=1e-1)
        matching.train().loss(*inputs, seeded()).backward()
    assert near.dtype == torch.float32
    assert (near - exact).norm() < 0.1 * exact.norm()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in matching.parameters())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown decoder 'u-net'.*did you mean 'unet'"):
        build_velocity_net(replace(SMALL, decoder="u-net"), FEATURES)
    with pytest.raises(ValueError, match="unknown ODE solver 'rk4'"):
        model().sample(*clips(3), steps=2, solver="rk4", guidance=1)
