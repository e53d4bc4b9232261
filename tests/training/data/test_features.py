from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import clip_audio
from f2v_bench.nn.losses.units import IGNORE_INDEX
from f2v_bench.signal.mel import log_mel
from f2v_bench.training.data.features import ClipFeatures, extract_features
from tests.clips import write_clip
from tests.training.toys import demo_clips, toy_features


@pytest.fixture(scope="module")
def features() -> ClipFeatures:
    return extract_features(demo_clips(1)[0])


@pytest.mark.slow
def test_lengths_follow_from_the_video_frames(features: ClipFeatures) -> None:
    shapes = {name: array.shape[1:] for name, array in features.arrays().items()}
    assert shapes == {name: array.shape[1:] for name, array in toy_features().arrays().items()}
    types = {name: array.dtype for name, array in features.arrays().items()}
    assert types == {name: array.dtype for name, array in toy_features().arrays().items()}
    lengths = {"lips": 1, "face": 1, "audio": 640, "mel": 4, "f0": 4, "energy": 4, "cepstra": 2, "phones": 2}
    for name, rate in lengths.items():
        assert len(features.arrays()[name]) == rate * features.frames, name
    assert len(features.identity) == 8
    assert np.linalg.norm(features.speaker) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_features_match_the_audio_of_the_clip(features: ClipFeatures) -> None:
    samples = clip_audio(demo_clips(1)[0], 16_000).samples[: 640 * features.frames]
    np.testing.assert_allclose(features.audio[: len(samples)] / 32_767, samples, atol=1e-4)
    np.testing.assert_allclose(features.mel[:-4], log_mel(samples, 16_000)[: len(features.mel) - 4], atol=1e-4)
    voiced, loud = features.f0 > 0, features.energy > np.median(features.energy)
    assert 60 < float(np.median(features.f0[voiced])) < 400
    assert float(loud[voiced].mean()) > 0.6
    assert (features.phones != IGNORE_INDEX).all()
    assert (features.phones[[0, -1]] == 0).all()


@pytest.mark.slow
def test_without_text_there_are_no_phonemes(features: ClipFeatures) -> None:
    unlabeled = extract_features(replace(demo_clips(1)[0], text=None))
    assert (unlabeled.phones == IGNORE_INDEX).all()
    np.testing.assert_array_equal(unlabeled.lips, features.lips)


def test_a_wall_has_no_face(tmp_path: Path) -> None:
    with pytest.raises(ClipFailure) as failure:
        extract_features(write_clip(tmp_path / "wall.mp4", 0.8))
    assert failure.value.kind is FailureKind.NO_FACE
