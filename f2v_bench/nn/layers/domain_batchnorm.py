"""Batch norm that keeps two domains apart: what a decoder hears of real speech, and what it is told of lips.

Numbers of two domains that pass through one decoder differ in mean and spread. With one set of running statistics each
domain is normed by a mixture that fits neither; with a set for each, the other weights see both alike (Chang et al.,
"Domain-specific batch normalization for unsupervised domain adaptation", CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

Form = Literal["shared", "separate-stats", "separate-stats+affine"]
DOMAINS = ("audio", "video")
_BOTH = "both"


class DomainBatchNorm(nn.Module):
    """Batch norm of vectors ``(N, C)`` of the domain that it is in, video if nothing else is said.

    Args:
        width: channels.
        form: what a domain has of its own: nothing, running mean and variance, or weight and bias too.

    Attributes:
        domain: that the next vectors are of; ``use_domain`` changes it.
        held: whether statistics that domains share stay as they are in training, as for frozen weights.
    """

    def __init__(self, width: int, form: Form) -> None:
        super().__init__()
        self.form, self.domain, self.held = form, DOMAINS[-1], False
        owners = (_BOTH,) if form == "shared" else DOMAINS
        self.norms = nn.ModuleDict({one: nn.BatchNorm1d(width, affine=form != "separate-stats") for one in owners})
        if form == "separate-stats":
            self.weight = nn.Parameter(torch.ones(width))
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """``(N, C)`` to the same; in training N is 2 at least."""
        shared = self.form == "shared"
        norm = self.norms[_BOTH if shared else self.domain]
        norm.train(self.training and not (shared and self.held))
        out: torch.Tensor = norm(vectors)
        return out * self.weight + self.bias if self.form == "separate-stats" else out


def domain_norms(network: nn.Module) -> list[DomainBatchNorm]:
    """All of them in a network."""
    return [module for module in network.modules() if isinstance(module, DomainBatchNorm)]


@contextmanager
def use_domain(network: nn.Module, domain: str) -> Iterator[None]:
    """Let a network's norms take what they see for vectors of a domain, and of the one before afterwards.

    Raises:
        ValueError: there is no such domain.
    """
    if domain not in DOMAINS:
        raise ValueError(f"a domain is one of {', '.join(DOMAINS)}, got {domain!r}")
    norms = domain_norms(network)
    before = [norm.domain for norm in norms]
    for norm in norms:
        norm.domain = domain
    try:
        yield
    finally:
        for norm, one in zip(norms, before, strict=True):
            norm.domain = one


def to_domain_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """State dict for a network of that of the same one with plain batch norms: every domain begins with their numbers.

    Args:
        network: whose norms are ``DomainBatchNorm``.
        state: of the other.
    """
    whole = dict(state)
    for name, module in network.named_modules():
        if isinstance(module, DomainBatchNorm):
            inside = [key for key in whole if key.startswith(f"{name}.")]
            plain = {key.removeprefix(f"{name}."): whole.pop(key) for key in inside}
            whole |= {f"{name}.{key}": plain[key.rpartition(".")[2]] for key in module.state_dict()}
    return whole
