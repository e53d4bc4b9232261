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
from tests.training.toys import demo_clips, toy_targets


@pytest.fixture(scope="module")
def targets() -> ClipFeatures:
    return extract_features(demo_clips(1)[0])


@pytest.mark.slow
def test_everything_is_on_the_clock_of_the_video(targets: ClipFeatures) -> None:
    shapes = {name: array.shape[1:] for name, array in targets.arrays().items()}
    assert shapes == {name: array.shape[1:] for name, array in toy_targets().arrays().items()}
    types = {name: array.dtype for name, array in targets.arrays().items()}
    assert types == {name: array.dtype for name, array in toy_targets().arrays().items()}
    lengths = {"lips": 1, "face": 1, "audio": 640, "mel": 4, "f0": 4, "energy": 4, "cepstra": 2, "phones": 2}
    for name, rate in lengths.items():
        assert len(targets.arrays()[name]) == rate * targets.frames, name
    assert len(targets.identity) == 8
    assert np.linalg.norm(targets.speaker) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_they_belong_to_the_clips_sound(targets: ClipFeatures) -> None:
    samples = clip_audio(demo_clips(1)[0], 16_000).samples[: 640 * targets.frames]
    np.testing.assert_allclose(targets.audio[: len(samples)] / 32_767, samples, atol=1e-4)
    np.testing.assert_allclose(targets.mel[:-4], log_mel(samples, 16_000)[: len(targets.mel) - 4], atol=1e-4)
    voiced, loud = targets.f0 > 0, targets.energy > np.median(targets.energy)
    assert 60 < float(np.median(targets.f0[voiced])) < 400
    assert float(loud[voiced].mean()) > 0.6
    assert (targets.phones != IGNORE_INDEX).all()
    assert (targets.phones[[0, -1]] == 0).all()


@pytest.mark.slow
def test_without_words_phonemes_are_unknown(targets: ClipFeatures) -> None:
    untold = extract_features(replace(demo_clips(1)[0], text=None))
    assert (untold.phones == IGNORE_INDEX).all()
    np.testing.assert_array_equal(untold.lips, targets.lips)


def test_a_wall_has_no_face(tmp_path: Path) -> None:
    with pytest.raises(ClipFailure) as failure:
        extract_features(write_clip(tmp_path / "wall.mp4", 0.8))
    assert failure.value.kind is FailureKind.NO_FACE
