from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.wav2vec2 import TransformerShape
from f2v_bench.nn.layers.masking import pad_sequences
from f2v_bench.nn.mos.utmos import DOMAIN, JUDGE, UTMOS22Strong, from_official, load_utmos
from tests.nn.published import published_shapes, randomized, shapes_of

SMALL = TransformerShape(layers=2, width=64, heads=4, hidden=128, norm_first=False, position_groups=4)


def test_names_and_shapes_are_the_published_ones(shared: Path) -> None:
    network = UTMOS22Strong()
    published = published_shapes(shared, "utmos22_strong")
    assert len(published) == 225
    assert shapes_of(network) == published
    assert sum(math.prod(shape) for shape in published.values()) == pytest.approx(102.8e6, rel=1e-3)


def test_scores_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    network = randomized(UTMOS22Strong(SMALL))
    clips = [torch.randn(n) * 0.1 for n in (400, 16_000, 2_000, 721, 2_000)]
    batch, lengths = pad_sequences([clip.numpy() for clip in clips])
    with torch.inference_mode():
        together = network(batch, lengths)
        one_by_one = [network(clip[None], torch.tensor([len(clip)]))[0] for clip in clips]
        turned = network(batch.flip(0), lengths.flip(0)).flip(0)
    torch.testing.assert_close(together, torch.stack(one_by_one), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned, together, atol=1e-5, rtol=0)
    assert together.std() > 1e-3  # the scores differ between clips


def test_the_score_is_the_affine_mean_over_frames() -> None:
    """With a projection that ignores its input, the score is its bias brought back to [1, 5]."""
    network = UTMOS22Strong(SMALL).eval()
    torch.nn.init.zeros_(network.projection[2].weight)
    torch.nn.init.constant_(network.projection[2].bias, -0.25)
    with torch.inference_mode():
        found = network(torch.randn(2, 4_000), torch.tensor([4_000, 2_000]))
    assert found.tolist() == pytest.approx([2.5, 2.5])


def official(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the authors' layout of the same weights: three domains, 3000 judges, a dropout inside the projection."""
    theirs = {}
    for name, tensor in state.items():
        if name == "domain_emb":
            table = torch.randn(3, tensor.shape[1])
            table[DOMAIN] = tensor
            theirs["feature_extractors.1.embedding.weight"] = table
        elif name == "judge_emb":
            table = torch.randn(3000, tensor.shape[1])
            table[JUDGE] = tensor
            theirs["output_layers.0.judge_embedding.weight"] = table
        else:
            for ours, prefix in (
                ("wav2vec2.", "feature_extractors.0.ssl_model."),
                ("blstm.", "output_layers.0.decoder_rnn."),
                ("projection.0.", "output_layers.1.net.0."),
                ("projection.2.", "output_layers.1.net.3."),
            ):
                if name.startswith(ours):
                    theirs[prefix + name.removeprefix(ours)] = tensor
    assert len(theirs) == len(state)
    return theirs


def test_the_authors_names_map_to_ours() -> None:
    state = UTMOS22Strong(SMALL).state_dict()
    mapped = from_official(official(state))
    assert mapped.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(mapped[name], tensor)


@pytest.mark.slow
def test_both_published_files_give_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UTMOS22Strong()
    torch.save(network.state_dict(), tmp_path / "speechmos.pt")
    torch.save({"state_dict": official(network.state_dict()), "epoch": 3}, tmp_path / "official.ckpt")
    one, other = (load_utmos(tmp_path / name, "get it") for name in ("speechmos.pt", "official.ckpt"))
    for (name, tensor), twin in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(tensor, twin, msg=name)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(F2VError, match=r"other\.pt' does not fit UTMOS22Strong: Missing") as refused:
        load_utmos(tmp_path / "other.pt", "fetch it")
    assert refused.value.do == "fetch it"
