from __future__ import annotations

from pathlib import Path

import pytest

from f2v_bench.datasets.manifest import is_manifest, read_manifest
from f2v_bench.errors import F2VError


def write(folder: Path, text: str) -> Path:
    path = folder / "clips.csv"
    path.write_bytes(text.encode())
    return path


def test_every_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "\ufeff,Clip_ID, Path ,speaker,transcript,split,audio,duration,source\r\n"
        '0,a/1,"my video, “ü”.mp4",anna,"one, two",test,a.wav,3.0,x\r\n'
        "1,a/2,2.mp4,,,train,,,\r\n",
    )
    manifest = read_manifest(path)
    first, second = manifest.entries
    assert (first.id, first.video, first.audio) == ("a/1", tmp_path / "my video, “ü”.mp4", tmp_path / "a.wav")
    assert (first.speaker, first.text, first.split, first.duration_s) == ("anna", "one, two", "test", 3.0)
    assert (second.speaker, second.text, second.audio, second.duration_s) == (None, None, None, None)
    assert manifest.has_splits
    assert is_manifest(path)


def test_alternative_names_of_columns(tmp_path: Path) -> None:
    (entry,) = read_manifest(write(tmp_path, "id,video,text,duration_s\nx,v.mp4,hello,1.5\n")).entries
    assert (entry.id, entry.text, entry.duration_s) == ("x", "hello", 1.5)


def test_the_path_is_the_id_where_there_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, "path\nanna/./a.b.mp4\n")
    assert [entry.id for entry in read_manifest(path).entries] == ["anna/a.b"]
    assert not is_manifest(path)


def test_splits(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, "path,split\n1.mp4,train\n2.mp4,test\n"))
    assert [entry.id for entry in manifest.select_split("test")] == ["2"]
    with pytest.raises(F2VError, match="in split 'tset'") as caught:
        manifest.select_split("tset")
    assert "did you mean 'test'? Known: test, train." in caught.value.do
    without = read_manifest(write(tmp_path, "path\n1.mp4\n2.mp4\n"))
    assert len(without.select_split("whatever")) == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no column path or video; it has \\[\\]"),
        ("name,file\na,b\n", r"it has \['name', 'file'\]"),
        ("path\n", "has no row"),
        ("path\n../up.mp4\n", "outside its root"),
        ("path\n/etc/passwd\n", "outside its root"),
        ("path,audio\na.mp4,../a.wav\n", "outside its root"),
        ("clip_id,path\n../../x,a.mp4\n", "cannot be a clip id"),
        ("clip_id,path\n/x,a.mp4\n", "cannot be a clip id"),
        ("clip_id,path\na//x,a.mp4\n", "cannot be a clip id"),
        ("path\n.\n", "cannot be a clip id"),
        ('clip_id,path\n"a\tb",a.mp4\n', "cannot be a clip id"),
        ("clip_id,path\n,a.mp4\n", "line 2 has an empty column 'clip_id'"),
        ("clip_id,path\na,\n", "line 2 has an empty column 'path'"),
        ("path,split\na.mp4,test\nb.mp4,\n", "line 3 has an empty column 'split'"),
        ("path,split\na.mp4,test,more\n", "more fields"),
        ("path,split\na.mp4\n", "fewer fields"),
        ("path,duration\na.mp4,long\n", "invalid duration 'long'"),
        ('path\n"a.mp4\n', "cannot be read as CSV"),
        ("path\na\0.mp4\n", "NUL"),
    ],
)
def test_bad_manifests_are_named(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(F2VError, match=what):
        read_manifest(write(tmp_path, text))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.mp4").touch()
    (inner / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(F2VError, match="outside its root"):
        read_manifest(write(inner, "path\nlink.mp4\n"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42\xff\xfe")
    with pytest.raises(F2VError, match="cannot be read as CSV"):
        read_manifest(path)
    assert not is_manifest(path)
