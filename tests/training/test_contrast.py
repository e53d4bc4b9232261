from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from f2v_bench.nn.losses.infonce import info_nce
from tests.nn.test_transformer import seeded


def unit(clips: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(clips, 8, generator=seeded(seed)), dim=1)


def test_it_is_written_out() -> None:
    """Four clips of three people: the second clip of a person is in no denominator of the first, and the reverse."""
    anchor, other, person = unit(4, 0), unit(4, 1), torch.tensor([5, 2, 5, 9])
    a, b = anchor.double().numpy(), other.double().numpy()
    each = []
    for at in range(4):
        against = [j for j in range(4) if j == at or person[j] != person[at]]
        terms = {j: np.exp(a[at] @ b[j] / 0.07) for j in against}
        each.append(-np.log(terms[at] / sum(terms.values())))
    found = info_nce(anchor, other, person, 0.07)
    np.testing.assert_allclose(float(found), np.mean(each), rtol=1e-5)
    assert float(info_nce(anchor, other, torch.arange(4), 0.07)) > float(found)


def test_the_clips_of_one_person_alone_leave_nothing_to_tell() -> None:
    anchor = unit(3, 0).requires_grad_()
    loss = info_nce(anchor, unit(3, 1), torch.zeros(3, dtype=torch.long), 0.07)
    loss.backward()
    assert float(loss.detach()) == 0
    assert anchor.grad is not None
    assert not anchor.grad.any()
