from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from f2v_bench.assets import find_asset
from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.ge2e import GE2E, load_ge2e, mel_segments, normalize_loudness, segment_starts
from tests.metrics.conftest import make_speechlike


@pytest.fixture(scope="module")
def encoder() -> GE2E:
    path = find_asset("ge2e")
    if path is None:
        pytest.skip("resemblyzer's weights are not installed")
    return load_ge2e(path, "")


@pytest.fixture
def resemblyzer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Package with empty modules in place of the two that are missing here; only its VAD needs them."""
    if importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("resemblyzer is not installed")
    morphology = ModuleType("scipy.ndimage.morphology")
    morphology.binary_dilation = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "webrtcvad", ModuleType("webrtcvad"))
    monkeypatch.setitem(sys.modules, "scipy.ndimage.morphology", morphology)
    before = set(sys.modules)
    import resemblyzer

    yield resemblyzer
    for name in set(sys.modules) - before:
        if name.startswith("resemblyzer"):
            del sys.modules[name]


@torch.inference_mode()
def embedded(encoder: GE2E, *clips: np.ndarray) -> np.ndarray:
    return encoder.embed(clips)


def test_equals_the_package_without_its_vad(encoder: GE2E, resemblyzer: ModuleType) -> None:
    from resemblyzer.audio import normalize_volume

    theirs = resemblyzer.VoiceEncoder("cpu", verbose=False)
    for seconds, gain in ((0.4, 1.0), (1.6, 0.001), (2.9, 0.3), (3.0, 2.0), (7.3, 0.05)):
        clip = (gain * make_speechlike(seconds, pitch=100 + 30 * seconds)).astype(np.float32)
        expected = theirs.embed_utterance(normalize_volume(clip, -30, increase_only=True))
        np.testing.assert_allclose(embedded(encoder, clip)[0], expected, atol=2e-6)


def test_segments_start_like_those_of_the_package(resemblyzer: ModuleType) -> None:
    slices = resemblyzer.VoiceEncoder.compute_partial_slices
    for samples in (*range(400, 200_000, 1237), 25_600, 37_900, 48_000):
        assert segment_starts(samples) == [one.start for one in slices(samples, 1.3, 0.75)[1]]


def test_a_batch_equals_one_by_one(encoder: GE2E) -> None:
    clips = [make_speechlike(seconds, pitch=90 + 20 * seconds, seed=i) for i, seconds in enumerate((0.1, 9, 2, 1.7, 5))]
    together = embedded(encoder, *clips)
    np.testing.assert_allclose(together, np.concatenate([embedded(encoder, clip) for clip in clips]), atol=1e-6)
    np.testing.assert_allclose(embedded(encoder, *clips[::-1])[::-1], together, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert together.min() >= 0


def test_quiet_clips_are_amplified_and_loud_ones_unchanged() -> None:
    clip = make_speechlike(1.0)
    quiet = normalize_loudness((clip * 1e-3).astype(np.float32))
    assert 20 * math.log10(np.sqrt(np.mean(quiet**2))) == pytest.approx(-30, abs=1e-3)
    assert normalize_loudness(clip) is clip
    assert mel_segments(clip).shape == (1, 160, 40)


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "a.pt")
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3)}}, tmp_path / "b.pt")
    for name, why in (("a.pt", "no weights under 'model_state'"), ("b.pt", "does not fit GE2E")):
        with pytest.raises(F2VError, match=why):
            load_ge2e(tmp_path / name, "")
