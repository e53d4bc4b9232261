from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.assets import require_asset
from f2v_bench.errors import ClipFailure, F2VError
from f2v_bench.metrics import dnsmos as module
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.dnsmos import DNSMOS, TorchNetworks, dnsmos, dnsmos_torch, load_networks, load_torch_networks
from f2v_bench.nn.mos.dnsmos_segments import rate_segments

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def networks() -> TorchNetworks:
    pytest.importorskip("onnx", reason="reads the weights out of the ONNX files")
    return load_torch_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"))


def by_onnx(clips: list[np.ndarray], **options: bool) -> list[dict[str, float]]:
    onnx = load_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"))
    return [dnsmos(clip, onnx, **options) for clip in clips]


def by_torch(clips: list[np.ndarray], networks: TorchNetworks, **options: bool) -> list[dict[str, float]]:
    return dnsmos_torch(clips, networks, **options)


def assert_equal(found: list[dict[str, float]], expected: list[dict[str, float]], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=tolerance)


@pytest.mark.slow
def test_equals_the_onnx_path_on_a_real_clip(networks: TorchNetworks, grid_test) -> None:
    clips = [grid_test[0].audio.samples]
    assert_equal(by_torch(clips, networks), by_onnx(clips), TOLERANCE)


@pytest.mark.slow
def test_equals_the_onnx_path_on_real_speech_of_many_lengths(networks: TorchNetworks, grid_test, speech) -> None:
    names = ("LJ001-0001", "LJ001-0002", "2412-153948-0000", "p287_001_noisy", "p287_002_clean", "jfk", "versa_test1")
    clips = [*map(speech, names), *(one.audio.samples for one in grid_test[1:4])]
    for all_segments in (False, True):
        expected = by_onnx(clips, all_segments=all_segments)
        assert_equal(by_torch(clips, networks, all_segments=all_segments), expected, TOLERANCE)


@pytest.mark.slow
def test_golden_values_of_the_personalized_network(speech) -> None:
    pytest.importorskip("onnx", reason="reads the weights out of the ONNX files")
    settings = {"backend": "torch", "personalized": "true"}
    paths = require_asset("dnsmos-p835-personalised"), require_asset("dnsmos-p808")
    [found] = by_torch([speech("jfk")], load_torch_networks(*paths, personalized=True))
    wanted = {"dnsmos_ovrl": 3.26602, "dnsmos_sig": 4.34336, "dnsmos_bak": 2.87324}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=5e-4)
    assert "personalized-9e3a197449ca" in DNSMOS(MetricOptions(settings=settings)).signature


LENGTHS = (200_000, 16_000, 47_360, 48_000, 48_001, 100_000, 160_000, 400)


@pytest.mark.parametrize("at_once", [1, 4096])
@pytest.mark.slow
def test_shared_work_gives_what_each_segment_gives_by_itself(networks: TorchNetworks, speechlike, at_once: int) -> None:
    import torch

    clips = [torch.from_numpy(speechlike(13.0, pitch=90 + 20 * at)[:n]) for at, n in enumerate(LENGTHS)]
    starts = [module.segment_starts(n) for n in LENGTHS]
    together = rate_segments(networks.p835, clips, starts, at_once)
    for clip, clip_starts, found in zip(clips, starts, together, strict=True):
        with torch.inference_mode():
            alone = [networks.p835(torch.from_numpy(module._segment(clip.numpy(), at))[None]) for at in clip_starts]
        torch.testing.assert_close(found, torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_batch_equals_one_by_one(networks: TorchNetworks, speechlike) -> None:
    clips = [speechlike(13.0, pitch=90 + 20 * at)[:n] for at, n in enumerate(LENGTHS)]
    alone = [found for clip in clips for found in by_torch([clip], networks)]
    assert by_torch(clips, networks) == alone
    assert_equal(by_torch(clips, replace(networks, device="cpu:0")), alone, 1e-5)  # grouped, as a GPU has them
    assert by_torch([], networks) == []


def test_features_equal_those_of_the_onnx_path(speechlike) -> None:
    import torch

    from f2v_bench.nn.mos.dnsmos import log_mel

    clips = np.stack([speechlike(2.0), 1e-3 * speechlike(2.0, pitch=300), np.zeros(32_000)]).astype(np.float32)
    found = log_mel(torch.from_numpy(clips)).numpy()
    for ours, clip in zip(found, clips, strict=True):
        np.testing.assert_allclose(ours, module.log_mel(clip), atol=2e-4)


@pytest.mark.usefixtures("networks")
def test_the_signature_names_the_backend(sample, speechlike) -> None:
    loud = (5 * speechlike(1.0)).astype(np.float32)
    by_default, by_onnx = (DNSMOS(MetricOptions(settings=one)) for one in ({}, {"backend": "onnx"}))
    assert "|backend:torch|" in by_default.signature
    assert "|backend:onnx|" in by_onnx.signature
    assert DNSMOS(MetricOptions(device="cuda")).signature == by_default.signature
    assert "|backend:onnx|" in DNSMOS(MetricOptions(device="cuda", settings={"backend": "onnx"})).signature
    batch = [sample(np.zeros(16_000, np.float32)), sample(loud)]
    silent, found = by_default.score(batch)
    _, expected = by_onnx.score(batch)
    assert isinstance(silent, ClipFailure)
    assert isinstance(found, Scores)
    assert isinstance(expected, Scores)
    assert found.values == pytest.approx(expected.values, abs=TOLERANCE)
    assert found.detail == expected.detail == {"clipped_samples": int((np.abs(loud) > 1).sum())}


def test_without_the_reader_torch_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MetricUnavailable, match="the package onnx"):
        DNSMOS(MetricOptions(settings={"backend": "torch"}))
    assert "|backend:onnx|" in DNSMOS(MetricOptions()).signature


def test_another_network_is_refused() -> None:
    pytest.importorskip("onnx", reason="reads the weights out of the ONNX files")
    from f2v_bench.nn.mos.dnsmos import load_p808, load_p835

    p835, p808 = require_asset("dnsmos-p835"), require_asset("dnsmos-p808")
    with pytest.raises(F2VError, match="is no P808 network of DNSMOS"):
        load_p808(Path(p835))
    with pytest.raises(F2VError, match="is no P835 network of DNSMOS"):
        load_p835(Path(p808))
