from __future__ import annotations

from pathlib import Path

import pytest

from f2v_bench.clip import Clip
from f2v_bench.datasets import lists
from f2v_bench.datasets.base import list_sha256
from f2v_bench.errors import F2VError


def clip(name: str) -> Clip:
    return Clip(name, "s", Path("v.mp4"), None, None, "test")


def test_the_published_lists_are_known_with_their_counts_and_hashes() -> None:
    known = {entry.list_id: (entry.clips, entry.sha256) for entry in lists.KNOWN_LISTS}
    assert known["lrs3/test"] == (1321, "ef317116cc4b93040ab47ed8ffc66f6a99daf1bc0c5d61220c235cbfe4a99bd4")
    assert known["lrs3/unseen"] == (1308, "62478f99f2cc9ccfc75dd184d0d207fb95e45a702184a4c1688c423371cdac4c")
    assert known["lrs3/cross"][0] == 517
    assert known["lrs2/test"][0] == 1243


def test_a_list_is_identified_by_hash_and_count_in_its_own_corpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["test/b/2", "test/a/1"]
    entry = lists.KnownList("lrs3/unseen", 2, list_sha256(ids))
    monkeypatch.setattr(lists, "KNOWN_LISTS", (entry,))
    assert lists.list_name("lrs3/test", ids, own=False) == "lrs3/unseen"
    assert lists.list_name("lrs3/test", ids[:1], own=True).startswith("lrs3/test~1clips-")
    assert lists.list_name("lrs2/test", ids, own=True).startswith("lrs2/test~2clips-")


def test_without_a_hash_only_the_corpus_s_own_list_is_identified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "KNOWN_LISTS", (lists.KnownList("lrs2/test", 2, None),))
    assert lists.list_name("lrs2/test", ["a", "b"], own=True) == "lrs2/test"
    assert lists.list_name("lrs2/test", ["a", "b"], own=False) == f"lrs2/test~2clips-{list_sha256(['a', 'b'])[:8]}"
    assert lists.list_name("lrs2/val", ["a", "b"], own=True).startswith("lrs2/val~2clips-")


def test_an_unknown_list_is_named_by_count_and_hash_whatever_its_order() -> None:
    name = lists.list_name("folder/test", ["b", "a"], own=False)
    assert name == lists.list_name("folder/test", ["a", "b"], own=False)
    # sha256 of "a\nb\n"
    assert name == "folder/test~2clips-911169dd"


def test_read_list_takes_windows_files_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("﻿a/1 NF\r\n\r\n  a/2.mp4 \r\nÜ b/3\r\n".encode())
    assert lists.read_list(path) == ["a/1 NF", "a/2.mp4", "Ü b/3"]


def test_read_list_takes_av_hubert_manifests(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("/data/lrs3\ntest/a/00001\tvideo/a.mp4\taudio/a.wav\t62\t39936\n")
    assert lists.read_list(path) == ["test/a/00001"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00"])
def test_a_list_without_clips_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(F2VError, match=r"list\.txt"):
        lists.read_list(path)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(F2VError, match=r"none\.txt"):
        lists.read_list(tmp_path / "none.txt")


def test_ids_with_spaces_come_before_their_first_word() -> None:
    known = {"my clip": clip("my clip"), "my": clip("my")}
    found = lists.select_listed(Path("l"), ["my clip", "my NF"], known.get)
    assert [entry.id for entry in found] == ["my clip", "my"]


def test_a_suffix_is_dropped_only_where_the_id_as_written_is_unknown() -> None:
    known = {"a.b": clip("a.b"), "a": clip("a")}
    found = lists.select_listed(Path("l"), ["a.b", "a.mp4"], known.get)
    assert [entry.id for entry in found] == ["a.b", "a"]


def test_unknown_ids_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(F2VError, match=r"2 of 3 clips of the list 'l' are not at the root, first 'x'"):
        lists.select_listed(Path("l"), ["x", "a", "y"], {"a": clip("a")}.get)
