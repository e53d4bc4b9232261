from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.ecapa import ECAPA, MIN_SAMPLES, load_ecapa, log_mel, mel_filters
from tests.nn.published import chirp, filled, randomized, shapes_of


def small() -> ECAPA:
    return ECAPA(channels=64, pooled=96)


@pytest.fixture(scope="module")
def encoder() -> ECAPA:
    torch.manual_seed(0)
    return randomized(small(), spread=0.2)


@torch.inference_mode()
def test_golden_embedding_of_the_published_code() -> None:
    """SpeechBrain's own features, normalization and network, filled with the same weights, on the same tone."""
    found = filled(small())(log_mel(chirp(16_000), mel_filters())[None])[0]
    assert found[:4].tolist() == pytest.approx([0.161135, -0.695130, 0.482491, 0.439258], abs=2e-5)


def test_golden_bands_of_the_published_code() -> None:
    mels = log_mel(chirp(16_000), mel_filters())
    assert mels.shape == (80, 101)
    found = mels[[0, 10, 40, 79], [0, 50, 70, 100]].tolist()
    assert found == pytest.approx([37.559349, -1.692717, 8.582468, 16.484329], abs=1e-3)


def test_golden_filters_of_the_published_code() -> None:
    filters = mel_filters()
    assert filters.sum().item() == pytest.approx(193.0572, abs=1e-3)
    triangle = filters[40][filters[40] > 0]
    assert triangle.tolist() == pytest.approx([0.394618, 0.915595, 0.563427, 0.042449], abs=1e-5)


def test_bands_do_not_depend_on_the_level_except_for_the_floor() -> None:
    """Their mean over a clip is 0, gain cancels out, and levels more than 80 dB below the loudest are clamped."""
    clip, filters = chirp(8000), mel_filters()
    mels = log_mel(clip, filters)
    torch.testing.assert_close(mels.mean(1), torch.zeros(80), atol=1e-4, rtol=0)
    torch.testing.assert_close(log_mel(30 * clip, filters), mels, atol=1e-2, rtol=0)
    gap = log_mel(torch.cat([clip, torch.zeros(4000)]), filters)
    silent = gap[:, 53:]
    assert torch.equal(silent, silent[:, :1].expand_as(silent))
    assert (gap[40].max() - silent[40, 0]).item() <= 80


@torch.inference_mode()
def test_a_batch_is_exactly_one_by_one(encoder: ECAPA) -> None:
    clips = [(chirp(n) * (0.1 + i)).numpy() for i, n in enumerate((MIN_SAMPLES, 16_001, 5_000))]
    vectors = encoder.embed(clips)
    assert vectors.shape == (3, 192)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, np.concatenate([encoder.embed([clip]) for clip in clips]))
    np.testing.assert_array_equal(encoder.embed(clips[::-1])[::-1], vectors)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


@torch.inference_mode()
def test_padding_is_by_reflection(encoder: ECAPA) -> None:
    """A clip between its own reflections has the same convolutions as alone."""
    mels = log_mel(chirp(8000), mel_filters())[None]
    wide = torch.nn.functional.pad(mels, (10, 10), mode="reflect")
    first = encoder.blocks[0]
    torch.testing.assert_close(first(wide)[:, :, 10:-10], first(mels))
    shortest = 1 + MIN_SAMPLES // 160
    assert encoder(mels[:, :, :shortest]).isfinite().all()
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        encoder(mels[:, :, : shortest - 1])


def test_the_published_model() -> None:
    """The 231 tensors of ``embedding_model.ckpt``, 83.3 MB of float32 with 31 counters."""
    shapes = shapes_of(ECAPA())
    assert len(shapes) == 231
    assert sum(name.endswith("num_batches_tracked") for name in shapes) == 31
    assert 4 * sum(map(math.prod, shapes.values())) == pytest.approx(83.3e6, rel=0.005)
    assert shapes["blocks.0.conv.conv.weight"] == (1024, 80, 5)
    assert shapes["blocks.2.res2net_block.blocks.6.norm.norm.running_var"] == (128,)
    assert shapes["blocks.3.se_block.conv2.conv.weight"] == (1024, 128, 1)
    assert shapes["mfa.conv.conv.weight"] == (3072, 3072, 1)
    assert shapes["asp.tdnn.conv.conv.weight"] == (128, 9216, 1)
    assert shapes["asp_bn.norm.weight"] == (6144,)
    assert shapes["fc.conv.weight"] == (192, 6144, 1)


def test_the_published_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f2v_bench.nn.encoders.ecapa.ECAPA", small)
    state = filled(small()).state_dict()
    torch.save(state, tmp_path / "embedding_model.ckpt")
    loaded = load_ecapa(tmp_path / "embedding_model.ckpt", "")
    assert not loaded.training
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, state[name])
    torch.save({name: tensor for name, tensor in state.items() if name != "fc.conv.bias"}, tmp_path / "other.ckpt")
    with pytest.raises(F2VError, match=r"does not fit ECAPA.*fc\.conv\.bias") as refused:
        load_ecapa(tmp_path / "other.ckpt", "fetch it again")
    assert refused.value.do == "fetch it again"
