"""``speech-units`` with a stand-in that has the pitfalls of the published code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.official.speech_units import SpeechUnits
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import F2VError, FailureKind
from f2v_bench.face import crops as crops_module
from f2v_bench.registry import SYSTEMS
from f2v_bench.systems.base import SpeakerReference, SystemOptions
from tests.baselines.official.checkouts import environment, speech_units
from tests.baselines.official.conftest import Notes, kinds, levels, make_crops

Accident = Callable[..., None]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return speech_units(tmp_path / "their code")


@pytest.fixture
def make(tmp_path: Path, repository: Path) -> Callable[..., SpeechUnits]:
    def made(clips: Sequence[Clip] = (), reference: str | None = None, **settings: str) -> SpeechUnits:
        every = {"python": environment(tmp_path / "env/bin"), **settings}
        options = SystemOptions(
            clips, str(repository), workdir=tmp_path / "work", speaker_reference=reference, settings=every
        )
        return SpeechUnits(options)

    return made


Make = Callable[..., SpeechUnits]


def follows_lips(outcome: Any, frames: int) -> bool:
    """Return whether the speech of a clip follows its lips, frame by frame."""
    assert isinstance(outcome, Waveform), outcome
    assert outcome.samples.shape == (640 * frames,)
    found = outcome.samples.reshape(frames, 640).mean(1) * 32768 / 20000
    return bool(np.allclose(found, levels(frames), atol=0.01))


def test_lips_and_voices_arrive_and_speech_is_collected(make: Make, clips: tuple[Clip, ...], notes: Notes) -> None:
    assert SYSTEMS.load("speech-units") is SpeechUnits
    system = make(clips)
    assert system.speaker_reference is SpeakerReference.SAME_CLIP
    outcomes = system.synthesize(clips, 0)
    assert all(follows_lips(outcome, 25 + 5 * at) for at, outcome in enumerate(outcomes))
    assert notes() == [
        {"stage": 1, "listed": 4, "kept": 4, "encoder": True},
        {"stage": 2, "files": 4, "voices": [25, 30, 35, 40]},
    ]
    work = system.options.workdir
    assert work is not None
    assert [path.name for path in work.iterdir()] == ["log.txt"]
    alone = system.synthesize(clips[2:3], 0)[0]
    assert isinstance(alone, Waveform)
    assert isinstance(outcomes[2], Waveform)
    assert np.array_equal(alone.samples, outcomes[2].samples)


def test_the_voice_of_another_clip_is_declared(make: Make, clips: tuple[Clip, ...], notes: Notes) -> None:
    system = make(clips, "other-clip")
    assert system.speaker_reference is SpeakerReference.OTHER_CLIP
    system.synthesize(clips, 0)
    assert notes()[1]["voices"] == [30, 25, 40, 35]
    assert "voice: other-clip" in system.provenance
    lonely = make([clips[0], *clips[2:]], "other-clip")
    assert kinds(lonely.synthesize([clips[0], clips[2]], 0)) == [FailureKind.NO_OTHER_CLIP, "ok"]
    with pytest.raises(F2VError, match="cannot take the voice from 'face'"):
        make(clips, "face")


@pytest.mark.slow
def test_more_than_ten_files_and_long_clips_are_not_dropped(
    make: Make, clips: tuple[Clip, ...], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = {clips[0].video: 605, clips[1].video: 600}
    monkeypatch.setattr(crops_module, "face_crops", lambda video, **_: make_crops(frames.get(video, 3)))
    batch = [*clips[:2], *(replace(clips[3], id=f"test/bob/{number:05d}") for number in range(10, 22))]
    outcomes = make(batch).synthesize(batch, 0)
    assert all(follows_lips(outcome, frames.get(clip.video, 3)) for clip, outcome in zip(batch, outcomes, strict=True))
    assert notes()[0]["kept"] == 2 + 1 + 12


def test_bad_speech_of_one_clip_leaves_the_others_alone(
    make: Make, clips: tuple[Clip, ...], notes: Notes, accident: Accident
) -> None:
    accident(speech={1: "skips", 2: "garbage", 3: "truncated", 4: "rate", 5: "silent"})
    batch = [replace(clips[0], id=f"test/{number}") for number in range(7)]
    assert kinds(make(batch).synthesize(batch, 0)) == [
        "ok",
        FailureKind.FILE_MISSING,
        FailureKind.UNREADABLE_AUDIO,
        FailureKind.DURATION_MISMATCH,
        FailureKind.UNREADABLE_AUDIO,
        FailureKind.SILENT,
        "ok",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["units", "speech"])
def test_what_a_dying_process_did_not_finish_is_tried_alone(
    make: Make, clips: tuple[Clip, ...], notes: Notes, accident: Accident, stage: str
) -> None:
    accident(**{stage: {2: "dies"}})
    system = make(clips)
    assert kinds(system.synthesize(clips[:3], 0)) == ["ok"] * 3  # alone, no clip is the third
    assert [one["listed"] for one in notes() if one["stage"] == 1] == [3, 1]
    work = system.options.workdir
    assert work is not None
    assert (work / "log.txt").read_text().count("CUDA out of memory") == 1


def test_a_process_that_dies_at_once_is_not_started_again(
    make: Make, clips: tuple[Clip, ...], notes: Notes, accident: Accident
) -> None:
    accident(units={0: "dies"})
    outcomes = make(clips).synthesize(clips, 0)
    assert kinds(outcomes) == [FailureKind.PROCESS_FAILED] * 4
    assert "exit code 1; last line: CUDA out of memory" in str(outcomes[0])
    assert len(notes()) == 1


@pytest.mark.slow
def test_a_process_that_hangs_is_ended(make: Make, clips: tuple[Clip, ...], notes: Notes, accident: Accident) -> None:
    accident(units={1: "hangs"})
    outcomes = make(clips, timeout_s="8").synthesize(clips[:3], 0)
    assert kinds(outcomes) == ["ok", FailureKind.TIMEOUT, FailureKind.TIMEOUT]


def test_a_clip_without_a_face_or_a_voice_fails_alone(make: Make, clips: tuple[Clip, ...], notes: Notes) -> None:
    faceless = replace(clips[0], id="test/faceless", video=clips[0].video.with_name("faceless.mp4"))
    mute = replace(clips[2], id="test/mute", audio=None)
    outcomes = make(clips).synthesize([faceless, clips[1], mute], 0)
    assert kinds(outcomes) == [FailureKind.NO_FACE, "ok", FailureKind.NO_AUDIO]
    assert kinds(make(clips).synthesize([faceless], 0)) == [FailureKind.NO_FACE]
    assert [one["listed"] for one in notes() if one["stage"] == 1] == [1]


def test_all_missing_requirements_are_named_before_the_first_clip(make: Make, tmp_path: Path, repository: Path) -> None:
    (repository / "checkpoints/large_vox_iter5.pt").unlink()
    (repository / "multi_input_vocoder/inference.py").unlink()
    python = environment(tmp_path / "old/bin", version=(3, 12), without=("fairseq",))
    with pytest.raises(F2VError) as error:
        make(python=python, vocoder="other/vocoder.pt")
    for word in ("large_vox_iter5.pt", "multi_input_vocoder/inference.py", "other/vocoder.pt", "other/config.json"):
        assert f"{word}' is missing" in error.value.what
    assert "has no fairseq" in error.value.what
    assert "is Python 3.12" in error.value.what
    for word in ("facebookresearch.github.io/av_hubert", "links the weights", "pip <= 24.0", "git clone", "afc77bd"):
        assert word in error.value.do
    with pytest.raises(F2VError, match="needs a folder"):
        SpeechUnits(SystemOptions())


def test_the_first_stage_may_have_no_encoder(
    make: Make, clips: tuple[Clip, ...], notes: Notes, repository: Path, tmp_path: Path
) -> None:
    (repository / "checkpoints/large_vox_iter5.pt").unlink()
    scratch = tmp_path / "it's, elsewhere=/scratch.pt"
    scratch.parent.mkdir()
    scratch.touch()
    system = make(clips, avhubert="none", checkpoint=str(scratch))
    assert kinds(system.synthesize(clips[:1], 0)) == ["ok"]
    assert notes()[0]["encoder"] is False
    assert "scratch.pt" in system.provenance


@pytest.mark.parametrize(("name", "value"), [("timeout_s", "soon"), ("timeout_s", "0"), ("batch_size", "-1")])
def test_odd_settings_are_refused(make: Make, name: str, value: str) -> None:
    with pytest.raises(F2VError, match=f"'{name}' is '{value}', not a number above 0"):
        make(**{name: value})
    assert make(batch_size="3").batch_size == 3
    with pytest.raises(F2VError, match="no setting 'pyton'"):
        make(pyton="x")


def test_a_fingerprint_follows_code_weights_voice_and_seed(
    make: Make, clips: tuple[Clip, ...], repository: Path
) -> None:
    clip = clips[0]
    prints = [make(clips).fingerprint(clip, 0), make(clips).fingerprint(clip, 1)]
    prints.append(make(clips, "other-clip").fingerprint(clip, 0))
    assert make(clips, timeout_s="60", batch_size="2").fingerprint(clip, 0) == prints[0]
    (repository / "checkpoints/vocoder_lrs3_aug_multi.pt").write_text("other weights")
    prints.append(make(clips).fingerprint(clip, 0))
    (repository / "avhubert/hubert_dataset.py").write_text("edited")
    prints.append(make(clips).fingerprint(clip, 0))
    assert len(set(prints)) == 5
    provenance = make(clips).provenance
    for word in ("choijeongsoo/lip2speech-unit", "unknown commit", "vocoder_lrs3_aug_multi.pt (", "non-commercial"):
        assert word in provenance


def test_work_folders_that_the_code_would_rewrite_are_avoided(
    make: Make, clips: tuple[Clip, ...], notes: Notes, tmp_path: Path
) -> None:
    system = make(clips)
    for name in ("video/work", "runs [1]"):
        odd = replace(system.options, workdir=tmp_path / name)
        assert kinds(SpeechUnits(odd).synthesize(clips[:1], 0)) == ["ok"]
        assert [path.name for path in (tmp_path / name).iterdir()] == ["log.txt"]
