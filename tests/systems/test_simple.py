from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import clip_audio
from f2v_bench.systems.base import System, SystemOptions, clip_generator
from f2v_bench.systems.ground_truth import GroundTruth
from f2v_bench.systems.resynthesis import Resynthesis
from f2v_bench.systems.shuffled import Shuffled
from tests.clips import RATE, babble, write_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    root = tmp_path_factory.mktemp("clips")
    return [
        write_clip(
            root / speaker / f"{index}.mp4", 0.8 + 0.2 * index, babble(0.8 + 0.2 * index, index), f"text {index}"
        )
        for index, speaker in enumerate(["ann", "ann", "ann", "bob"])
    ]


def waveforms(system: System, clips: list[Clip], seed: int = 0) -> list[Waveform]:
    outcomes = system.synthesize(clips, seed)
    assert all(isinstance(outcome, Waveform) for outcome in outcomes)
    return outcomes  # type: ignore[return-value]


@pytest.mark.parametrize("kind", [GroundTruth, Resynthesis, Shuffled])
def test_a_batch_equals_one_by_one_in_any_order(kind: type[System], clips: list[Clip]) -> None:
    system = kind(SystemOptions(clips=clips))
    batch = waveforms(system, clips)
    for clip, wave in reversed(list(zip(clips, batch, strict=True))):
        np.testing.assert_array_equal(waveforms(system, [clip])[0].samples, wave.samples)
        assert wave.sample_rate == system.sample_rate


@pytest.mark.parametrize("kind", [GroundTruth, Resynthesis, Shuffled])
def test_output_lasts_as_long_as_the_video(kind: type[System], clips: list[Clip]) -> None:
    for index, wave in enumerate(waveforms(kind(SystemOptions(clips=clips)), clips)):
        assert len(wave.samples) == round((0.8 + 0.2 * index) * RATE)


def test_ground_truth_is_the_clips_audio(clips: list[Clip]) -> None:
    wave = waveforms(GroundTruth(SystemOptions(clips=clips)), clips)[0]
    np.testing.assert_array_equal(wave.samples, clip_audio(clips[0], RATE).samples)


def test_shuffled_prefers_the_same_speaker(clips: list[Clip]) -> None:
    system = Shuffled(SystemOptions(clips=clips))
    for clip in clips[:3]:
        donor = system.donor(clip, 0)
        assert donor.speaker == "ann"
        assert donor.id != clip.id
    assert system.donor(clips[3], 0).speaker == "ann"
    assert len({system.donor(clips[3], seed).id for seed in range(20)}) == 3


def test_shuffled_never_returns_the_same_text(clips: list[Clip]) -> None:
    twin = replace(clips[1], text=clips[0].text)
    system = Shuffled(SystemOptions(clips=[clips[0], twin, clips[3]]))
    assert system.donor(clips[0], 0).id == clips[3].id


def test_shuffled_fails_without_another_clip(clips: list[Clip]) -> None:
    outcome = Shuffled(SystemOptions(clips=clips[:1])).synthesize(clips[:1], 0)[0]
    assert isinstance(outcome, ClipFailure)
    assert outcome.kind is FailureKind.NO_OTHER_CLIP


def test_a_clip_without_audio_fails_alone(clips: list[Clip]) -> None:
    mute = replace(clips[0], id="ann/mute", audio=None)
    first, second = GroundTruth(SystemOptions(clips=clips)).synthesize([mute, clips[1]], 0)
    assert isinstance(first, ClipFailure)
    assert first.kind is FailureKind.NO_AUDIO
    assert isinstance(second, Waveform)


def test_randomness_depends_on_seed_and_clip_alone() -> None:
    def draw(seed: int, clip: str) -> float:
        return float(clip_generator(seed, clip).random())

    assert draw(0, "a") == draw(0, "a")
    assert len({draw(0, "a"), draw(1, "a"), draw(0, "b")}) == 3


def test_fingerprints_depend_on_the_seed_where_the_output_does(clips: list[Clip], tmp_path: Path) -> None:
    options = SystemOptions(clips=clips)
    assert GroundTruth(options).fingerprint(clips[0], 0) == GroundTruth(options).fingerprint(clips[0], 1)
    assert Resynthesis(options).fingerprint(clips[0], 0) != Resynthesis(options).fingerprint(clips[0], 1)
