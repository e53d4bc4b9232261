from __future__ import annotations

from itertools import pairwise

import pytest
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.training.optim import build_optimizer, lr_scale


def test_the_learning_rate_rises_and_falls_to_its_floor() -> None:
    stage = StageConfig(steps=1000, warmup=100, floor=0.1)
    rates = [lr_scale(step, stage) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[99] == rates[100] == 1
    assert all(now < after for now, after in pairwise(rates[:100]))
    assert all(now > after for now, after in pairwise(rates[100:]))
    assert rates[550] == pytest.approx((1 + 0.1) / 2)
    assert rates[1000] == lr_scale(5000, stage) == pytest.approx(0.1)
    assert lr_scale(0, StageConfig(warmup=0)) == 1


def test_only_matrices_decay() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    network[2].requires_grad_(False)
    optimizer = build_optimizer(network.named_parameters(), StageConfig(weight_decay=0.3, betas=(0.5, 0.6)))
    decayed, plain = optimizer.param_groups
    assert decayed["weight_decay"] == 0.3
    assert [one.shape for one in decayed["params"]] == [(4, 3)]
    assert plain["weight_decay"] == 0
    assert len(plain["params"]) == 3
    assert decayed["betas"] == (0.5, 0.6)


def test_prefixes_scale_the_learning_rate() -> None:
    """The factors hold for the schedule as well."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    stage = StageConfig(learning_rate=1e-2, warmup=2)
    optimizer = build_optimizer(network.named_parameters(), stage, {"1.": 0.1})
    rates = {tuple(one.shape): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    assert rates == {(4, 3): 1e-2, (4,): 1e-2, (2, 4): pytest.approx(1e-3), (2,): pytest.approx(1e-3)}
    LambdaLR(optimizer, lambda step: lr_scale(step, stage))
    halved = {tuple(one.shape): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    assert halved[4, 3] == pytest.approx(5e-3)
    assert halved[2, 4] == pytest.approx(5e-4)
