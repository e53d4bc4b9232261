"""Domain-specific batch norm for a decoder that takes features of audio and of video.

Features of the two domains differ in mean and variance. One set of running statistics is a mixture that fits neither
domain; with one set per domain, the other weights get inputs of the same distribution (Chang et al., "Domain-specific
batch normalization for unsupervised domain adaptation", CVPR 2019).
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
    """Batch norm of vectors ``(N, C)`` with statistics per domain.

    Args:
        width: channels.
        form: parts that each domain has for itself: none, running mean and variance, or weight and bias too.

    Attributes:
        domain: domain of the next input, ``video`` at first; ``use_domain`` changes it.
        frozen_stats: running statistics that domains share stay fixed in training, as for frozen weights.
    """

    def __init__(self, width: int, form: Form) -> None:
        super().__init__()
        self.form, self.domain, self.frozen_stats = form, DOMAINS[-1], False
        owners = (_BOTH,) if form == "shared" else DOMAINS
        self.norms = nn.ModuleDict({name: nn.BatchNorm1d(width, affine=form != "separate-stats") for name in owners})
        if form == "separate-stats":
            self.weight = nn.Parameter(torch.ones(width))
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Normalize ``(N, C)``; in training N is at least 2."""
        shared = self.form == "shared"
        norm = self.norms[_BOTH if shared else self.domain]
        norm.train(self.training and not (shared and self.frozen_stats))
        out: torch.Tensor = norm(vectors)
        return out * self.weight + self.bias if self.form == "separate-stats" else out


def domain_norms(network: nn.Module) -> list[DomainBatchNorm]:
    """Return all domain-specific batch norms of a network."""
    return [module for module in network.modules() if isinstance(module, DomainBatchNorm)]


@contextmanager
def use_domain(network: nn.Module, domain: str) -> Iterator[None]:
    """Select the domain of a network's norms inside the context.

    Raises:
        ValueError: no such domain.
    """
    if domain not in DOMAINS:
        raise ValueError(f"the domain is one of {', '.join(DOMAINS)}, got {domain!r}")
    norms = domain_norms(network)
    before = [norm.domain for norm in norms]
    for norm in norms:
        norm.domain = domain
    try:
        yield
    finally:
        for norm, previous in zip(norms, before, strict=True):
            norm.domain = previous


def to_domain_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert the state dict of a network with plain batch norms: every domain gets a copy of their tensors.

    Args:
        network: network with ``DomainBatchNorm`` layers.
        state: state dict of the same network with plain batch norms.
    """
    whole = dict(state)
    for name, module in network.named_modules():
        if isinstance(module, DomainBatchNorm):
            inside = [key for key in whole if key.startswith(f"{name}.")]
            plain = {key.removeprefix(f"{name}."): whole.pop(key) for key in inside}
            whole |= {f"{name}.{key}": plain[key.rpartition(".")[2]] for key in module.state_dict()}
    return whole
