from __future__ import annotations

import pytest
import torch
from torch import nn

from f2v_bench.training.ema import EMA, evaluating


def test_the_average_follows_the_weights() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema, expected = EMA(module, 0.5), 0.0
    for done in range(1, 20):
        nn.init.constant_(module.weight, float(done))
        ema.update(module)
        decay = min(0.5, (1 + done) / (10 + done))
        expected = decay * expected + (1 - decay) * done
        assert float(ema.average.get_parameter("weight")) == pytest.approx(expected, rel=1e-5)
    assert int(ema.updates) == 19
    assert float(module.weight.detach()) == 19, "the module itself is unchanged"


def test_buffers_are_copied_and_nothing_is_trained() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = EMA(module, 0.9)
    module(torch.randn(8, 2))
    ema.update(module)
    for copied, original in zip(ema.average.buffers(), module.buffers(), strict=True):
        torch.testing.assert_close(copied, original, atol=0, rtol=0)
    assert not any(one.requires_grad for one in ema.parameters())
    holder = nn.ModuleDict({"ema": ema, "network": module}).train()
    assert holder["network"].training
    assert not any(one.training for one in ema.modules())


def test_the_state_dict_holds_the_average() -> None:
    module = nn.Linear(2, 2)
    ema = EMA(module, 0.9)
    for _ in range(3):
        nn.init.normal_(module.weight)
        ema.update(module)
    other = EMA(nn.Linear(2, 2), 0.9)
    other.load_state_dict(ema.state_dict())
    for one in (ema, other):
        one.update(module)
    assert int(other.updates) == 4
    for name, tensor in ema.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=0, rtol=0)
    assert "average.weight" in ema.state_dict()


def test_evaluating_restores_the_mode() -> None:
    module = nn.Dropout()
    with evaluating(module):
        assert not module.training
        assert not torch.is_grad_enabled()
    assert module.training
    with pytest.raises(RuntimeError), evaluating(module.eval()):
        raise RuntimeError
    assert not module.training
    assert torch.is_grad_enabled()
