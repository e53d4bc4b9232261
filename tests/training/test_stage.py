from __future__ import annotations

from itertools import pairwise

import pytest
from torch import nn

from f2v_bench.training.stage import StageConfig, optimiser, rate_at


def test_the_rate_rises_and_falls_to_its_floor() -> None:
    stage = StageConfig(steps=1000, warmup=100, floor=0.1)
    rates = [rate_at(step, stage) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[99] == rates[100] == 1
    assert all(now < after for now, after in pairwise(rates[:100]))
    assert all(now > after for now, after in pairwise(rates[100:]))
    assert rates[550] == pytest.approx((1 + 0.1) / 2)
    assert rates[1000] == rate_at(5000, stage) == pytest.approx(0.1)
    assert rate_at(0, StageConfig(warmup=0)) == 1


def test_matrices_alone_decay() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    network[2].requires_grad_(False)
    best = optimiser(network.named_parameters(), StageConfig(weight_decay=0.3, betas=(0.5, 0.6)))
    decayed, plain = best.param_groups
    assert decayed["weight_decay"] == 0.3
    assert [one.shape for one in decayed["params"]] == [(4, 3)]
    assert plain["weight_decay"] == 0
    assert len(plain["params"]) == 3
    assert decayed["betas"] == (0.5, 0.6)
