from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from f2v_bench.datasets import grid_sentences
from f2v_bench.datasets.base import DatasetOptions
from f2v_bench.datasets.grid import UNSEEN_SPEAKERS, Grid, seen_split, unseen_split
from f2v_bench.errors import F2VError

CODES = [
    grid_sentences.encode_sentence(f"{a} {b} at {c} {d} now")
    for a in grid_sentences.COMMANDS
    for b in grid_sentences.COLORS
    for c in "abcde"
    for d in ("one", "two")
]  # 160


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def published(root: Path, inner: str = "", speakers: tuple[str, ...] = ("s1", "s2")) -> Path:
    for speaker in speakers:
        for code in CODES:
            touch(root / speaker / inner / f"{code}.mpg")
    return root


@pytest.mark.parametrize("inner", ["", "video", "video/mpg_6000"])
def test_the_published_layouts(tmp_path: Path, inner: str) -> None:
    published(tmp_path, inner)
    touch(tmp_path / "s21/readme.txt")  # the speaker without video
    touch(tmp_path / "s1/._bbaa1n.mpg")
    touch(tmp_path / "alignments/s1/bbaa1n.align")
    touch(tmp_path / "else/bbaa1n.mpg")
    parts = {split: Grid(DatasetOptions(tmp_path, split)).clips() for split in ("train", "val", "test")}
    assert {split: len(clips) for split, clips in parts.items()} == {"train": 283, "val": 16, "test": 21}
    ids = Counter(clip.id for clips in parts.values() for clip in clips)
    assert ids == Counter({f"{speaker}/{code}": 1 for speaker in ("s1", "s2") for code in CODES})
    for clip in parts["test"]:
        assert clip.text == grid_sentences.decode_sentence(clip.video.stem)
        assert (clip.split, clip.audio) == ("test", clip.video)


def test_the_split_of_a_clip_does_not_depend_on_other_clips(tmp_path: Path) -> None:
    both = Grid(DatasetOptions(published(tmp_path / "both"))).clips()
    one = Grid(DatasetOptions(published(tmp_path / "one", speakers=("s1",)))).clips()
    assert [clip.id for clip in both if clip.speaker == "s1"] == [clip.id for clip in one]


def test_shares_of_the_seen_split() -> None:
    count = Counter(seen_split(f"s{i % 34}/{i}") for i in range(20000))
    assert {split: round(n / 20000, 2) for split, n in count.items()} == {"train": 0.9, "val": 0.05, "test": 0.05}
    assert seen_split("s1/bbaf2n") == "train"


def test_the_unseen_split_is_that_of_the_literature(tmp_path: Path) -> None:
    speakers = [f"s{i}" for i in range(1, 35) if i != 21]
    assert Counter(map(unseen_split, speakers)) == {"train-unseen": 16, "val-unseen": 7, "test-unseen": 10}
    assert not UNSEEN_SPEAKERS["val-unseen"] & UNSEEN_SPEAKERS["test-unseen"]
    corpus = Grid(DatasetOptions(published(tmp_path), "test-unseen"))
    assert {clip.speaker for clip in corpus.clips()} == {"s2"}
    assert corpus.list_id.startswith("grid/s2/test-unseen~160clips-")
    with pytest.raises(F2VError, match="its speakers are s1, s2") as caught:
        Grid(DatasetOptions(tmp_path, "val-unseen")).clips()
    assert "s20" in caught.value.do
    with pytest.raises(F2VError, match="no split 'dev'"):
        Grid(DatasetOptions(tmp_path, "dev")).clips()


def test_a_name_that_is_not_a_code_has_no_text_and_is_counted(tmp_path: Path) -> None:
    for i in range(40):
        touch(tmp_path / "s1" / f"holiday {i}.mpg")
    corpus = Grid(DatasetOptions(tmp_path))
    n = len(corpus.clips())
    assert n > 0
    assert all(clip.text is None for clip in corpus.clips())
    assert corpus.remarks == (f"{n} of {n} clips have no transcript, first '{corpus.clips()[0].id}'",)


def test_lists_accept_the_formats_of_papers(tmp_path: Path) -> None:
    published(tmp_path / "grid")
    listed = tmp_path / "list.txt"
    listed.write_text("s1/bbaa1n\nval/s2/bbaa2n\ns2/video/mpg_6000/bbab1n.mpg\n")
    corpus = Grid(DatasetOptions(tmp_path / "grid", list_file=listed))
    assert [clip.id for clip in corpus.clips()] == ["s1/bbaa1n", "s2/bbaa2n", "s2/bbab1n"]
    listed.write_text("s3/bbaa1n\n")
    with pytest.raises(F2VError, match="first 's3/bbaa1n'"):
        Grid(DatasetOptions(tmp_path / "grid", list_file=listed)).clips()


def test_manifests_with_splits_go_before_those_without(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("clip_id,speaker,path,split\nbbaa1n,s1,s1/bbaa1n.mkv,test\nx1,s2,x1.mkv,train\n")
    (tmp_path / "b.csv").write_text("clip_id,speaker,path\nbbaa1n,s1,o/bbaa1n.mpg\n")
    (tmp_path / "notes.csv").write_text("who,what\nme,that\n")
    corpus = Grid(DatasetOptions(tmp_path))
    (clip,) = corpus.clips()
    assert (clip.id, clip.text, clip.split) == ("s1/bbaa1n", "bin blue at a one now", "test")
    assert corpus.remarks == ("'b.csv' is ignored: it has no split column; pass it as root to use it",)
    assert Grid(DatasetOptions(tmp_path, "train")).clips()[0].text is None
    assert Grid(DatasetOptions(tmp_path / "b.csv", "anything")).clips()[0].video == tmp_path / "o/bbaa1n.mpg"
    with pytest.raises(F2VError, match="has a split 'val'") as caught:
        Grid(DatasetOptions(tmp_path, "val")).clips()
    assert "test, train" in caught.value.do


def test_two_rows_with_one_id_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("clip_id,speaker,path\nbbaa1n,s1,a.mkv\ns1/bbaa1n,s1,b.mkv\n")
    with pytest.raises(F2VError, match="duplicate clip ids, first 's1/bbaa1n'"):
        Grid(DatasetOptions(path)).clips()


def test_roots_that_are_something_else_are_named(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(F2VError, match="it has holiday"):
        Grid(DatasetOptions(tmp_path)).clips()
    touch(tmp_path / "bbaa1n.mpg")
    with pytest.raises(F2VError, match="neither a folder nor a CSV"):
        Grid(DatasetOptions(tmp_path / "bbaa1n.mpg"))


def test_the_real_clips_of_speaker_1(shared: Path) -> None:
    root = shared / "data" / "grid"
    corpus = Grid(DatasetOptions(root))
    assert (corpus.list_id, len(corpus.clips()), corpus.is_published) == ("grid/s1/test", 50, True)
    assert all(clip.video.is_file() and clip.id == f"s1/{clip.video.stem}" for clip in corpus.clips())
    assert len(Grid(DatasetOptions(root, "train")).clips()) == 850
    assert "bin blue at f two now" in {clip.text for clip in Grid(DatasetOptions(root, "train")).clips()}
    originals = Grid(DatasetOptions(root / "original.csv")).clips()
    assert (len(originals), len({clip.speaker for clip in originals})) == (35, 10)
    assert corpus.grammar == grid_sentences.JSGF
