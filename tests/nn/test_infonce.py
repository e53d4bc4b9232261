from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from f2v_bench.nn.losses.infonce import info_nce
from tests.nn.test_transformer import seeded


def unit(clips: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(clips, 8, generator=seeded(seed)), dim=1)


def test_the_loss_equals_its_formula() -> None:
    """Four clips of three speakers: the clips of one speaker are in no denominator of each other."""
    anchor, other, speaker = unit(4, 0), unit(4, 1), torch.tensor([5, 2, 5, 9])
    a, b = anchor.double().numpy(), other.double().numpy()
    each = []
    for at in range(4):
        against = [j for j in range(4) if j == at or speaker[j] != speaker[at]]
        terms = {j: np.exp(a[at] @ b[j] / 0.07) for j in against}
        each.append(-np.log(terms[at] / sum(terms.values())))
    found = info_nce(anchor, other, speaker, 0.07)
    np.testing.assert_allclose(float(found), np.mean(each), rtol=1e-5)
    assert float(info_nce(anchor, other, torch.arange(4), 0.07)) > float(found)


def test_a_batch_of_one_speaker_has_no_loss() -> None:
    anchor = unit(3, 0).requires_grad_()
    loss = info_nce(anchor, unit(3, 1), torch.zeros(3, dtype=torch.long), 0.07)
    loss.backward()
    assert float(loss.detach()) == 0
    assert anchor.grad is not None
    assert not anchor.grad.any()
