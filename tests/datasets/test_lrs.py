from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from f2v_bench import media
from f2v_bench.clip import Waveform
from f2v_bench.datasets import lists
from f2v_bench.datasets.base import DatasetOptions, list_sha256
from f2v_bench.datasets.lrs import LRS2, LRS3
from f2v_bench.errors import F2VError


@pytest.fixture(scope="session")
def tiny_mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of half a second: gray frames with a 220 Hz tone."""
    path = tmp_path_factory.mktemp("media") / "tiny.mp4"
    frames = (np.full((64, 64, 3), 8 * i, np.uint8) for i in range(12))
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(7680) / 16000)
    media.write_video(path, frames, Waveform(tone.astype(np.float32), 16000), preset="ultrafast")
    return path


def put(video: Path, source: Path, text: str | None = None) -> None:
    video.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, video)
    if text is not None:
        video.with_suffix(".txt").write_text(f"Text:  {text}\nConf:  4\n", encoding="utf-8")


@pytest.fixture
def lrs3(tmp_path: Path, tiny_mp4: Path) -> Path:
    root = tmp_path / "LRS3 “ted”"
    put(root / "test/-a_b'c/00001.mp4", tiny_mp4, "WE'RE {NS} HERE")
    put(root / "test/-a_b'c/00002.mp4", tiny_mp4, "AGAIN")
    put(root / "test/zürich/00001.mp4", tiny_mp4)
    put(root / "trainval/other/50001.mp4", tiny_mp4, "TRAIN")
    put(root / "test/zürich/._00001.mp4", tiny_mp4)
    return root


TEST_IDS = ["test/-a_b'c/00001", "test/-a_b'c/00002", "test/zürich/00001"]


def test_the_published_tree(lrs3: Path) -> None:
    corpus = LRS3(DatasetOptions(lrs3))
    clips = corpus.clips()
    assert [clip.id for clip in clips] == TEST_IDS
    assert [clip.text for clip in clips] == ["WE'RE HERE", "AGAIN", None]
    assert [clip.speaker for clip in clips] == ["-a_b'c", "-a_b'c", "zürich"]
    assert all(clip.split == "test" and clip.audio == clip.video for clip in clips)
    assert corpus.remarks == (
        "1 of 3 clips have no transcript, first 'test/zürich/00001'",
        f"'{corpus.list_id}' is not a complete published list",
    )
    assert media.read_video(clips[0].video).shape == (12, 64, 64, 3)
    assert media.clip_audio(clips[0], 16000).samples.shape == (7680,)


def test_a_part_of_the_corpus_never_has_the_official_name(lrs3: Path) -> None:
    corpus = LRS3(DatasetOptions(lrs3))
    assert corpus.list_id == f"lrs3/test~3clips-{list_sha256(TEST_IDS)[:8]}"
    assert not corpus.is_published


def test_the_complete_corpus_has_the_official_name(lrs3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "KNOWN_LISTS", (lists.KnownList("lrs3/test", 3, list_sha256(TEST_IDS)),))
    corpus = LRS3(DatasetOptions(lrs3))
    assert corpus.list_id == "lrs3/test"
    assert corpus.is_published
    assert len(corpus.remarks) == 1
    (lrs3 / "test/zürich/00001.mp4").unlink()
    assert LRS3(DatasetOptions(lrs3)).list_id.startswith("lrs3/test~2clips-")


@pytest.mark.parametrize("line", ["{}", "{}.mp4", "{} NF", "video/{}.mp4"])
def test_a_list_of_the_user_is_identified(lrs3: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    ids = TEST_IDS[1:]
    monkeypatch.setattr(lists, "KNOWN_LISTS", (lists.KnownList("lrs3/unseen", 2, list_sha256(ids)),))
    listed = lrs3.parent / "unseen.txt"
    listed.write_text("".join(f"{line.format(name)}\n" for name in reversed(ids)), encoding="utf-8")
    corpus = LRS3(DatasetOptions(lrs3, list_file=listed))
    assert corpus.list_id == "lrs3/unseen"
    assert [clip.id for clip in corpus.clips()] == ids


def test_ids_without_a_part_are_of_the_split(lrs3: Path) -> None:
    listed = lrs3.parent / "list.txt"
    listed.write_text("other/50001\n")
    corpus = LRS3(DatasetOptions(lrs3, split="trainval", list_file=listed))
    assert [(clip.id, clip.split) for clip in corpus.clips()] == [("trainval/other/50001", "trainval")]
    assert corpus.list_id.startswith("lrs3/trainval~1clips-")


@pytest.mark.parametrize("bad", ["test/-a_b'c/00009", "dev/-a_b'c/00001", "00001", "test/../50001", "/etc/passwd"])
def test_missing_ids_are_refused(lrs3: Path, bad: str) -> None:
    listed = lrs3.parent / "list.txt"
    listed.write_text(f"{TEST_IDS[0]}\n{bad}\n", encoding="utf-8")
    with pytest.raises(F2VError, match="1 of 2 clips of the list"):
        LRS3(DatasetOptions(lrs3, list_file=listed)).clips()


def test_a_clip_listed_twice_is_refused(lrs3: Path) -> None:
    listed = lrs3.parent / "list.txt"
    listed.write_text(f"{TEST_IDS[0]}\n{TEST_IDS[0]}.mp4\n", encoding="utf-8")
    with pytest.raises(F2VError, match="duplicate clip ids"):
        LRS3(DatasetOptions(lrs3, list_file=listed)).clips()


def test_cross_pairs_keep_the_speaker_reference_clip(lrs3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = "-a_b'c_00001_00002"
    monkeypatch.setattr(lists, "KNOWN_LISTS", (lists.KnownList("lrs3/cross", 1, list_sha256([pair])),))
    listed = lrs3.parent / "cross.lst"
    listed.write_text(f"{pair}\n")
    corpus = LRS3(DatasetOptions(lrs3, list_file=listed))
    assert [clip.id for clip in corpus.clips()] == [TEST_IDS[1]]
    assert corpus.references[TEST_IDS[1]].id == TEST_IDS[0]
    assert corpus.references[TEST_IDS[1]].video.is_file()
    assert corpus.list_id == "lrs3/cross"
    listed.write_text("-a_b'c_00002_00001\n")  # the same talk with the roles exchanged is another protocol
    assert LRS3(DatasetOptions(lrs3, list_file=listed)).list_id.startswith("lrs3/cross~1clips-")
    listed.write_text("-a_b'c_00007_00001\n")
    with pytest.raises(F2VError, match="first 'test/-a_b'c/00007'"):
        LRS3(DatasetOptions(lrs3, list_file=listed)).clips()


@pytest.mark.parametrize(
    ("video", "audio", "text", "words"),
    [
        ("videos", "audios", "videos", "Text:  HELLO {LG} THERE\n"),
        ("video", "audio", "text", "HELLO THERE\n"),
        ("lrs3_video_seg24s", "lrs3_video_seg24s", "lrs3_text_seg24s", "HELLO THERE"),
    ],
)
def test_layouts_of_preprocessing_scripts(tmp_path: Path, video: str, audio: str, text: str, words: str) -> None:
    for folder, suffix in ((video, "mp4"), (audio, "wav"), (text, "txt")):
        path = tmp_path / folder / "test/talk" / f"00001.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words if suffix == "txt" else "")
    corpus = LRS3(DatasetOptions(tmp_path))
    (clip,) = corpus.clips()
    assert (clip.id, clip.text) == ("test/talk/00001", "HELLO THERE")
    assert clip.audio == tmp_path / audio / "test/talk/00001.wav"
    assert any("mouth" in remark for remark in corpus.remarks) == ("seg24s" in video)


def test_without_a_root_the_message_names_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("F2V_DATA", raising=False)
    for corpus in (LRS3, LRS2):
        with pytest.raises(F2VError) as caught:
            corpus(DatasetOptions())
        for word in ("robots.ox.ac.uk" if corpus is LRS2 else "mmai.io", "--data-root", "F2V_DATA", "license"):
            assert word in str(caught.value)
    monkeypatch.setenv("F2V_DATA", str(tmp_path))
    with pytest.raises(F2VError, match="no corpus 'lrs3' at"):
        LRS3(DatasetOptions())


def test_a_root_of_something_else_is_named(tmp_path: Path, lrs3: Path) -> None:
    (tmp_path / "else" / "holiday").mkdir(parents=True)
    with pytest.raises(F2VError, match="it has holiday"):
        LRS3(DatasetOptions(tmp_path / "else"))
    (tmp_path / "file.mp4").touch()
    with pytest.raises(F2VError, match="is not a folder"):
        LRS3(DatasetOptions(tmp_path / "file.mp4"))
    with pytest.raises(F2VError, match="no split 'val'"):
        LRS3(DatasetOptions(lrs3, split="val"))
    with pytest.raises(F2VError, match="no folder 'pretrain'"):
        LRS3(DatasetOptions(lrs3, split="pretrain")).clips()
    shutil.rmtree(lrs3 / "trainval" / "other")
    with pytest.raises(F2VError, match="no clip of 'lrs3' is in split 'trainval'"):
        LRS3(DatasetOptions(lrs3, split="trainval")).clips()


@pytest.fixture
def lrs2(tmp_path: Path, tiny_mp4: Path) -> Path:
    for name in ("main/5535/00001", "main/5535/00002", "main/6000/00001", "pretrain/5535/00001"):
        put(tmp_path / "mvlrs_v1" / f"{name}.mp4", tiny_mp4, name.upper())
    (tmp_path / "test.txt").write_text("5535/00002 NF\n6000/00001 MV\n")
    (tmp_path / "train.txt").write_text("5535/00001\n")
    (tmp_path / "pretrain.txt").write_text("5535/00001\n")
    return tmp_path


def test_lrs2_takes_its_own_lists(lrs2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "KNOWN_LISTS", (lists.KnownList("lrs2/test", 2, None),))
    corpus = LRS2(DatasetOptions(lrs2))
    assert [clip.id for clip in corpus.clips()] == ["main/5535/00002", "main/6000/00001"]
    assert [clip.text for clip in corpus.clips()] == ["MAIN/5535/00002", "MAIN/6000/00001"]
    assert (corpus.list_id, corpus.remarks) == ("lrs2/test", ())
    assert LRS2(DatasetOptions(lrs2 / "mvlrs_v1")).list_id == "lrs2/test"  # the lists may also lie beside the root
    (clip,) = LRS2(DatasetOptions(lrs2, split="pretrain")).clips()
    assert (clip.id, clip.split) == ("pretrain/5535/00001", "pretrain")


def test_lrs2_shows_missing_files_as_missing_coverage(lrs2: Path) -> None:
    (lrs2 / "mvlrs_v1/main/6000/00001.mp4").unlink()
    corpus = LRS2(DatasetOptions(lrs2))
    assert len(corpus.clips()) == 2
    assert any("1 of 2 clips" in remark and "main/6000/00001" in remark for remark in corpus.remarks)
    (lrs2 / "mvlrs_v1/main/5535/00002.mp4").unlink()
    with pytest.raises(F2VError, match="none of the 2 clips"):
        LRS2(DatasetOptions(lrs2)).clips()


def test_lrs2_without_a_list_names_the_file(lrs2: Path) -> None:
    with pytest.raises(F2VError, match=r"no list 'val\.txt'"):
        LRS2(DatasetOptions(lrs2, split="val")).clips()
    (lrs2 / "val.txt").write_text("00001\n")
    with pytest.raises(F2VError, match="'00001'"):
        LRS2(DatasetOptions(lrs2, split="val")).clips()


def test_lrs2_takes_a_user_s_list(lrs2: Path) -> None:
    (lrs2 / "mine.txt").write_text("mvlrs_v1/pretrain/5535/00001.mp4\n5535/00001 NF\n")
    corpus = LRS2(DatasetOptions(lrs2, list_file=lrs2 / "mine.txt"))
    assert [clip.id for clip in corpus.clips()] == ["main/5535/00001", "pretrain/5535/00001"]
    assert corpus.list_id.startswith("lrs2/pretrain+test~2clips-")
