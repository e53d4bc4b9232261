"""``aligndit`` with a stand-in that has the pitfalls of the published code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from baselines.official.aligndit import AlignDiT
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import F2VError, FailureKind
from f2v_bench.face import crops as crops_module
from f2v_bench.systems.base import SpeakerReference, SystemOptions
from tests.baselines.official.checkouts import aligndit, environment
from tests.baselines.official.conftest import Notes, kinds, levels, make_crops
from tests.clips import tone, write_clip

Make = Callable[..., AlignDiT]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return aligndit(tmp_path / "code/AlignDiT")


@pytest.fixture
def make(tmp_path: Path, repository: Path) -> Make:
    def made(clips: Sequence[Clip] = (), **settings: str) -> AlignDiT:
        every = {"python": environment(tmp_path / "env/bin"), **settings}
        return AlignDiT(SystemOptions(clips, str(repository), workdir=tmp_path / "work", settings=every))

    return made


def test_lips_and_references_arrive_and_speech_is_collected(
    make: Make, clips: tuple[Clip, ...], notes: Notes, repository: Path
) -> None:
    before = sorted(repository.rglob("*"))
    system = make(clips)
    assert system.speaker_reference is SpeakerReference.OTHER_CLIP
    outcomes = system.synthesize(clips, 4)
    for at, outcome in enumerate(outcomes):
        assert isinstance(outcome, Waveform), outcome
        found = outcome.samples.reshape(25 + 5 * at, 640).mean(1) * 32768 / 20000
        assert np.allclose(found, levels(25 + 5 * at), atol=0.01)
    mels, features, *inferred = notes()
    assert (mels, features) == ({"stage": "mels", "sounds": 4}, {"stage": "features", "videos": 4})
    assert [one["voice"] for one in inferred] == [300, 200, 500, 400]
    assert [(one["reference"], one["frames"]) for one in inferred] == [(30, 25), (25, 30), (40, 35), (35, 40)]
    args = inferred[0]["args"]
    assert (args["s"], args["nfe"], args["cfg_v"], args["ignore_modality"]) == (4, 32, 2.0, "text")
    assert sorted(path for path in repository.rglob("*") if "__pycache__" not in path.parts) == before
    work = system.options.workdir
    assert work is not None
    assert [path.name for path in work.iterdir()] == ["log.txt"]


def test_text_of_a_lip_reader_guides_where_there_is_one(
    make: Make, clips: tuple[Clip, ...], notes: Notes, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    for kind, words in (("vsr", "READ"), ("asr", "SPOKEN")):
        for clip in clips[:2] if kind == "vsr" else clips:
            path = texts / f"text_autoavsr_{kind}" / f"{clip.id}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{words} {clip.id[-1]}\n")
    system = make(clips, texts=str(texts), cfg_t="3")
    plain = make(clips).fingerprint(clips[0], 0)
    assert kinds(system.synthesize(clips[:3], 0)) == ["ok", "ok", FailureKind.TEXT_MISSING]
    assert [one["texts"] for one in notes()[2:]] == [["spoken 2", "read 1"], ["spoken 1", "read 2"]]
    args = notes()[2]["args"]
    assert (args["t"], args["cfg_t"], args["ignore_modality"]) == ("lrs3_test_cross_w_lipreader", 3.0, None)
    with_text = system.fingerprint(clips[0], 0)
    (texts / "text_autoavsr_vsr" / f"{clips[0].id}.txt").write_text("READ OTHERWISE")
    assert len({plain, with_text, system.fingerprint(clips[0], 0)}) == 3


def test_reference_clips_follow_the_list_of_pairs(make: Make, tmp_path: Path) -> None:
    ids = [f"test/x-_9/{name}" for name in ("00001", "00002", "00003", "00009")]
    clips = [Clip(one, "x-_9", tmp_path / f"{one}.mp4", tmp_path / f"{one}.wav", "bin", "test") for one in ids]
    repository = aligndit(tmp_path / "code/AlignDiT", ["x-_9_00009_00002", "x-_9_00001_00003"])
    targets = clips[1:3]
    system = make(targets)
    assert system.repository.folder == repository
    references = [system.reference(clip, 0) for clip in targets]
    assert [one.id for one in references] == ["test/x-_9/00009", "test/x-_9/00001"]
    assert [one.video for one in references] == [clips[3].video, clips[0].video]
    assert [one.audio for one in references] == [clips[3].audio, clips[0].audio]
    assert make(clips).reference(clips[1], 0) is clips[3]
    drawn = {make(clips).reference(clips[0], seed).id for seed in range(20)}
    assert drawn == {clip.id for clip in clips[1:]}


@pytest.mark.slow
def test_long_and_short_clips_stay_within_the_limits(
    make: Make, clips: tuple[Clip, ...], notes: Notes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = write_clip(tmp_path / "bob/long.mp4", 20.0, tone(20.0))
    brief = write_clip(tmp_path / "eve/brief.mp4", 0.36, tone(0.36))
    frames = {clips[0].video: 650, brief.video: 15}
    monkeypatch.setattr(crops_module, "face_crops", lambda video, **_: make_crops(frames.get(video, 30)))
    batch = [
        replace(clips[0], speaker="bob"),
        replace(brief, speaker="eve"),
        replace(brief, id="eve/other", speaker="eve"),
        replace(clips[3], speaker="nobody"),
    ]
    outcomes = make([*batch, replace(long, speaker="bob")]).synthesize(batch, 0)
    assert kinds(outcomes) == ["ok", FailureKind.TOO_SHORT, FailureKind.TOO_SHORT, FailureKind.NO_OTHER_CLIP]
    assert isinstance(outcomes[0], Waveform)
    assert outcomes[0].samples.shape == (640 * 650,)
    assert [(one["reference"], one["frames"]) for one in notes()[2:]] == [(375, 600), (375, 600)]


def test_a_clip_without_features_leaves_the_others_alone(
    make: Make, clips: tuple[Clip, ...], notes: Notes, accident: Callable[..., None]
) -> None:
    accident(mels={0: "skips"}, features={1: "skips"}, speech={0: "garbage"})
    assert kinds(make(clips).synthesize(clips, 0)) == [
        FailureKind.FILE_MISSING,
        FailureKind.FILE_MISSING,
        FailureKind.UNREADABLE_AUDIO,
        "ok",
    ]


def test_all_missing_requirements_are_named_before_the_first_clip(make: Make, tmp_path: Path, repository: Path) -> None:
    (repository / "ckpts/AlignDiT_finetune_hifigan_16k_LRS3_char/model_400000.pt").unlink()
    (tmp_path / "code/av_hubert/avhubert/hubert.py").unlink()
    bare = environment(tmp_path / "bare/bin", without=("fairseq", "accelerate"))
    with pytest.raises(F2VError) as error:
        make(features_python=bare, texts=str(tmp_path / "texts"))
    gone = ("model_400000.pt", "av_hubert/avhubert/hubert.py", "texts/text_autoavsr_vsr", f"'{bare}' has no fairseq")
    for word in gone:
        assert word in error.value.what
    assert "accelerate" not in error.value.what  # features do without
    assert "facebookresearch/av_hubert" in error.value.do
    with pytest.raises(F2VError, match="has no accelerate"):
        make(python=bare)


def test_other_checkpoints_and_folders_are_used(
    make: Make, clips: tuple[Clip, ...], notes: Notes, tmp_path: Path
) -> None:
    own = tmp_path / "own/mine.pt"
    own.parent.mkdir()
    own.write_text("mine")
    (tmp_path / "code/fairseq").rename(tmp_path / "own/fairseq")
    system = make(clips, checkpoint=str(own), fairseq=str(tmp_path / "own/fairseq"), nfe="8")
    assert kinds(system.synthesize(clips[:2], 0)) == ["ok", "ok"]
    assert notes()[2]["args"]["nfe"] == 8
    assert "mine.pt" in system.provenance
    assert "no text" in system.provenance
