from __future__ import annotations

import os
from pathlib import Path

import pytest

from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.folder import Folder
from f2v_bench.errors import F2VError


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "my “clips”"
    put(root / "anna/one.MP4")
    put(root / "anna/one.wav")
    put(root / "anna/one.txt", "Hello,\n world.\n")
    put(root / "bob's/größe 2.mkv")
    put(root / "bob's/größe 2.flac")
    put(root / "bob's/größe 2.wav")
    put(root / "top.webm")
    put(root / ".cache/hidden.mp4")
    put(root / "anna/._one.mp4")
    put(root / "notes.pdf")
    put(root / "anna/alone.wav")
    return root


def test_a_directory_is_searched_recursively(root: Path) -> None:
    corpus = Folder(DatasetOptions(root))
    one, two, top = corpus.clips()
    assert (one.id, one.speaker, one.text, one.audio) == ("anna/one", "anna", "Hello, world.", root / "anna/one.wav")
    assert (two.id, two.speaker, two.text) == ("bob's/größe 2", "bob's", None)
    assert two.audio == root / "bob's/größe 2.wav"
    assert (top.id, top.speaker, top.audio, top.video) == ("top", "my “clips”", root / "top.webm", root / "top.webm")
    assert corpus.remarks[0] == f"4 of 11 files under '{root}' are ignored: hidden, or not part of a clip"
    assert corpus.list_id.startswith("folder/test~3clips-")
    assert not corpus.is_published


def test_every_clip_of_a_directory_is_in_every_split(root: Path) -> None:
    assert {clip.split for clip in Folder(DatasetOptions(root, "val")).clips()} == {"val"}


def test_a_list_selects_clips(root: Path, tmp_path: Path) -> None:
    listed = put(tmp_path / "list.txt", "bob's/größe 2.mkv\ntop\n")
    assert [clip.id for clip in Folder(DatasetOptions(root, list_file=listed)).clips()] == ["bob's/größe 2", "top"]
    put(listed, "top\nnone\n")
    with pytest.raises(F2VError, match="first 'none'"):
        Folder(DatasetOptions(root, list_file=listed)).clips()


def test_two_videos_with_one_id_are_refused(root: Path) -> None:
    put(root / "top.mp4")
    with pytest.raises(F2VError, match="duplicate clip ids, first 'top'"):
        Folder(DatasetOptions(root)).clips()


def test_a_directory_of_audio_alone_is_a_reference_corpus(tmp_path: Path) -> None:
    put(tmp_path / "anna/1.flac")
    put(tmp_path / "anna/1.txt", "words")
    (clip,) = Folder(DatasetOptions(tmp_path)).clips()
    assert clip.video == clip.audio == tmp_path / "anna/1.flac"
    assert (clip.id, clip.text) == ("anna/1", "words")


def test_a_manifest(tmp_path: Path) -> None:
    put(tmp_path / "v/2.txt", "beside")
    put(tmp_path / "v/2.wav")
    path = put(
        tmp_path / "clips.csv",
        "clip_id,path,speaker,text,split,audio\nx,v/1.mp4,anna,given,test,sound.wav\ny,v/2.mp4,,,test,\nz,3.mp4,,,train,\n",
    )
    first, second = Folder(DatasetOptions(path)).clips()
    assert (first.speaker, first.text, first.audio) == ("anna", "given", tmp_path / "sound.wav")
    assert (second.speaker, second.text, second.audio) == ("v", "beside", tmp_path / "v/2.wav")
    assert [clip.id for clip in Folder(DatasetOptions(path, "train")).clips()] == ["z"]
    with pytest.raises(F2VError, match="in split 'val'"):
        Folder(DatasetOptions(path, "val")).clips()
    listed = put(tmp_path / "list.txt", "x\nz\n")  # a list goes across splits
    assert [clip.split for clip in Folder(DatasetOptions(path, list_file=listed)).clips()] == ["test", "train"]


def test_a_manifest_with_an_id_twice_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "clips.csv", "clip_id,path\nx,1.mp4\nx,2.mp4\n")
    with pytest.raises(F2VError, match=r"clips\.csv has 1 duplicate clip ids, first 'x'"):
        Folder(DatasetOptions(path)).clips()


def test_roots_without_videos_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(F2VError, match="no video among the 0 files"):
        Folder(DatasetOptions(tmp_path)).clips()
    put(tmp_path / "notes.txt")
    with pytest.raises(F2VError, match="no video among the 1 files"):
        Folder(DatasetOptions(tmp_path)).clips()
    with pytest.raises(F2VError, match="neither a directory nor a CSV"):
        Folder(DatasetOptions(put(tmp_path / "video.mp4")))
    with pytest.raises(F2VError, match="no corpus 'folder' at"):
        Folder(DatasetOptions(tmp_path / "none"))
    monkeypatch.delenv("F2V_DATA", raising=False)
    with pytest.raises(F2VError, match="has no root"):
        Folder(DatasetOptions())


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(F2VError, match="cannot be a clip id") as caught:
        Folder(DatasetOptions(tmp_path)).clips()
    str(caught.value).encode()  # the message itself can be printed
