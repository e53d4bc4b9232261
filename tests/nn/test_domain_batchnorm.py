from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from f2v_bench.nn.layers.domain_batchnorm import (
    DOMAINS,
    DomainBatchNorm,
    Form,
    domain_norms,
    to_domain_state,
    use_domain,
)
from tests.nn.published import randomized

FORMS = get_args(Form)


def vectors_of(mean: float, deviation: float, seed: int) -> torch.Tensor:
    return mean + deviation * torch.randn(64, 5, generator=torch.Generator().manual_seed(seed))


AUDIO, VIDEO = vectors_of(3.0, 2.0, 0), vectors_of(-1.0, 0.5, 1)


def walked(norm: nn.Module, rounds: int = 30) -> nn.Module:
    """Pass vectors of both domains in turn, in training mode."""
    norm.train()
    for _ in range(rounds):
        for domain, vectors in (("audio", AUDIO), ("video", VIDEO)):
            with use_domain(norm, domain):
                norm(vectors)
    return norm


@pytest.mark.parametrize("form", ["separate-stats", "separate-stats+affine"])
def test_each_domain_is_normalized_as_if_it_were_alone(form: Form) -> None:
    """Training and evaluation equal those of a plain batch norm of one domain."""
    norm = walked(DomainBatchNorm(5, form))
    for domain, vectors in (("audio", AUDIO), ("video", VIDEO)):
        alone = nn.BatchNorm1d(5).train()
        for _ in range(30):
            alone(vectors)
        for mode in (True, False):
            with use_domain(norm.train(mode), domain):
                torch.testing.assert_close(norm(vectors), alone.train(mode)(vectors))


def test_shared_statistics_are_a_plain_norm_s() -> None:
    norm, plain = walked(DomainBatchNorm(5, "shared")), nn.BatchNorm1d(5).train()
    for _ in range(30):
        plain(AUDIO)
        plain(VIDEO)
    norm.eval(), plain.eval()
    for domain, vectors in (("audio", AUDIO), ("video", VIDEO)):
        with use_domain(norm, domain):
            torch.testing.assert_close(norm(vectors), plain(vectors))
            assert not norm(vectors).mean().abs() < 0.3, "neither domain is centered"


def test_separate_statistics_do_not_meet() -> None:
    norm = DomainBatchNorm(5, "separate-stats").train()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    with use_domain(norm, "audio"):
        norm(AUDIO)
    moved = {name for name, tensor in norm.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"norms.audio.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}


@pytest.mark.parametrize(("form", "own"), [("separate-stats", False), ("separate-stats+affine", True)])
def test_weight_and_bias_belong_to_the_right_domain(form: Form, own: bool) -> None:
    norm = DomainBatchNorm(5, form).train()
    with use_domain(norm, "video"):
        norm(VIDEO).square().sum().backward()  # type: ignore[no-untyped-call]
    touched = {name for name, one in norm.named_parameters() if one.grad is not None}
    assert touched == ({"norms.video.weight", "norms.video.bias"} if own else {"weight", "bias"})


@pytest.mark.parametrize(("form", "count"), [("shared", 10), ("separate-stats", 10), ("separate-stats+affine", 20)])
def test_the_number_of_weights(form: Form, count: int) -> None:
    assert sum(one.numel() for one in DomainBatchNorm(5, form).parameters()) == count


def test_frozen_statistics_stay_only_where_they_are_shared() -> None:
    for form in FORMS:
        norm = DomainBatchNorm(5, form).train()
        norm.frozen_stats = True
        norm(VIDEO)
        means = dict(norm.named_buffers())
        mean = means["norms.both.running_mean" if form == "shared" else "norms.video.running_mean"]
        assert bool((mean == 0).all()) == (form == "shared"), form


def test_a_domain_lasts_as_long_as_its_context() -> None:
    network = nn.Sequential(DomainBatchNorm(5, "separate-stats"), nn.Linear(5, 5), DomainBatchNorm(5, "shared"))
    assert len(domain_norms(network)) == 2
    with use_domain(network, "audio"):
        assert {norm.domain for norm in domain_norms(network)} == {"audio"}
    assert {norm.domain for norm in domain_norms(network)} == {"video"}
    with pytest.raises(ValueError, match="got 'smell'"), use_domain(network, "smell"):
        pass


@pytest.mark.parametrize("form", FORMS)
def test_every_domain_starts_with_the_tensors_of_the_plain_norm(form: Form) -> None:
    def network(norm: Any) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 5), norm, nn.Linear(5, 2))

    plain = randomized(network(nn.BatchNorm1d(5)))
    ours = network(DomainBatchNorm(5, form)).eval()
    ours.load_state_dict(to_domain_state(ours, plain.state_dict()))
    for domain in DOMAINS:
        with use_domain(ours, domain):
            torch.testing.assert_close(ours(VIDEO), plain(VIDEO))
