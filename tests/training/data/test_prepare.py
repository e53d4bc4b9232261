from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Clip
from f2v_bench.errors import F2VError
from f2v_bench.training.data import prepare as module
from f2v_bench.training.data.features import extract_features
from f2v_bench.training.data.prepare import Prepared, prepare
from tests.clips import write_clip
from tests.training.toys import demo_clips, toy_prepared


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "training"


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.mark.slow
def test_unusable_clips_are_reported_and_others_prepared(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = demo_clips(1)[0]
    wall = write_clip(tmp_path / "s" / "wall.mp4", 0.8)
    gone = replace(good, id="s/gone", video=tmp_path / "gone.mp4", audio=tmp_path / "gone.mp4")
    mute = replace(good, id="s/mute", audio=None)
    empty = replace(good, id="s/empty", video=tmp_path / "empty.mp4")
    empty.video.touch()
    clips = [wall, gone, good, mute, empty]
    reports: list[tuple[int, int]] = []
    ready = prepare(clips, 1, lambda done, count: reports.append((done, count)))
    assert [clip.id for clip in ready.clips] == [good.id]
    kinds = {name: text.partition(":")[0] for name, text in ready.failures.items()}
    assert kinds == {
        wall.id: "no_face",
        "s/gone": "file_missing",
        "s/mute": "no_audio",
        "s/empty": "unreadable_video",
    }
    assert reports == [(done, 5) for done in range(6)]
    assert entries(cache) == list(ready.files), "one complete file, and no part of another"
    for name, array in extract_features(good).arrays().items():
        np.testing.assert_array_equal(ready.load(0).arrays()[name], array)

    # an existing file is used again, whatever the path of its clip; another text needs another file
    shutil.copy(good.video, tmp_path / "copy.mp4")
    copy = replace(good, video=tmp_path / "copy.mp4", audio=tmp_path / "copy.mp4")
    with monkeypatch.context() as patch:
        patch.setattr(module, "extract_features", lambda _: pytest.fail("computed again"))
        for clip in (good, copy):
            reports.clear()
            assert prepare([clip], 1, lambda done, count: reports.append((done, count))).files == ready.files
            assert reports == [(1, 1)]
    assert prepare([replace(good, text="lay")], 1).files != ready.files


@pytest.mark.slow
def test_processes_write_equal_features(cache: Path, tmp_path: Path) -> None:
    clips = [demo_clips(1)[0], write_clip(tmp_path / "wall.mp4", 0.8)]
    ready = prepare(clips, 2)
    assert len(ready) == 1
    assert ready.failures[clips[1].id].startswith("no_face")
    assert entries(cache) == list(ready.files)
    np.testing.assert_array_equal(ready.load(0).mel, extract_features(clips[0]).mel)


def test_no_usable_clip_is_an_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(F2VError, match="there are no clips"):
        prepare([], 1)
    none = Clip("s/none", "s", tmp_path / "none.mp4", tmp_path / "none.mp4", None, "train")
    with pytest.raises(F2VError, match="none of 1 clips can be trained on; s/none file_missing"):
        prepare([none], 1)
    assert entries(cache) == []


@pytest.mark.parametrize("fails_at", ["mkdir", "savez"])
def test_a_full_disk_leaves_no_partial_file(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    toy = toy_prepared(tmp_path, [3]).load(0)
    monkeypatch.setattr(module, "extract_features", lambda _: toy)
    if fails_at == "mkdir":
        cache.parent.mkdir()
        cache.touch()
    else:
        monkeypatch.setattr(np, "savez", _full)
    with pytest.raises(F2VError, match="cannot be written"):
        prepare([write_clip(tmp_path / "a.mp4", 0.4)], 1)
    assert entries(cache) == []


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_subset_is_spread_over_all_clips() -> None:
    clips = tuple(Clip(str(at), "s", Path(f"{at}.mp4"), None, None, "val") for at in range(11))
    whole = Prepared(clips, tuple(clip.video for clip in clips))
    assert [clip.id for clip in whole.first(3).clips] == ["0", "5", "10"]
    assert whole.first(3).files == (Path("0.mp4"), Path("5.mp4"), Path("10.mp4"))
    for count in range(12):
        assert len(whole.first(count)) == min(count, 11)
    assert len(whole.first(50)) == 11
