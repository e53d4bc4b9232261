from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.errors import F2VError
from f2v_bench.face.cache import CropCache
from f2v_bench.face.records import FaceCrops
from f2v_bench.utils.paths import cache_folder


@pytest.fixture
def crops() -> FaceCrops:
    generator = np.random.default_rng(4)
    return FaceCrops(
        lips=generator.integers(0, 256, (6, 96, 96), dtype=np.uint8),
        face=generator.integers(0, 256, (6, 112, 112, 3), dtype=np.uint8),
        boxes=generator.normal(size=(6, 4)).astype(np.float32),
        points=generator.normal(size=(6, 5, 2)).astype(np.float32),
        visible=np.array([True, False] * 3),
        detector="cascade",
    )


def test_stored_crops_load_exactly(tmp_path: Path, crops: FaceCrops) -> None:
    cache = CropCache(tmp_path)
    assert cache.load("ab12") is None
    cache.save("ab12", crops)
    back = FaceCrops(**cache.load("ab12") or {})
    for name in ("lips", "face", "boxes", "points", "visible"):
        assert getattr(back, name).dtype == getattr(crops, name).dtype
        assert (getattr(back, name) == getattr(crops, name)).all()
    assert back.detector == "cascade"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ab12.npz"]


def test_entries_with_the_old_field_name_are_read(tmp_path: Path, crops: FaceCrops) -> None:
    """Entries of earlier versions store ``visible`` as ``seen``."""
    cache = CropCache(tmp_path)
    cache.save("ab12", crops)
    (entry,) = tmp_path.rglob("*.npz")
    with np.load(entry) as stored:
        arrays = {{"visible": "seen"}.get(name, name): stored[name] for name in stored.files}
    np.savez_compressed(entry, **arrays)
    assert "seen" in arrays
    back = FaceCrops(**cache.load("ab12") or {})
    for name in ("lips", "face", "boxes", "points", "visible"):
        assert (getattr(back, name) == getattr(crops, name)).all()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_torn_entry_counts_as_absent(tmp_path: Path, crops: FaceCrops, keep: float) -> None:
    cache = CropCache(tmp_path)
    cache.save("ab12", crops)
    (entry,) = tmp_path.rglob("*.npz")
    whole = entry.read_bytes()
    entry.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    assert cache.load("ab12") is None


def test_a_flipped_byte_counts_as_absent(tmp_path: Path, crops: FaceCrops) -> None:
    cache = CropCache(tmp_path)
    cache.save("ab12", crops)
    (entry,) = tmp_path.rglob("*.npz")
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0xFF
    entry.write_bytes(content)
    assert cache.load("ab12") is None


def test_keys_follow_content_and_settings_not_names(tmp_path: Path) -> None:
    cache = CropCache(tmp_path / "cache")
    one, two, other = (tmp_path / name for name in ("one.mp4", "two words é.mp4", "other.mp4"))
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    other.write_bytes(b"else")
    assert cache.key(one, "a") == cache.key(two, "a")
    assert cache.key(one, "a") != cache.key(one, "b")
    assert cache.key(one, "a") != cache.key(other, "a")


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from f2v_bench.face import cache as module

    hashed: list[Path] = []
    real = module.file_sha256
    monkeypatch.setattr(module, "file_sha256", lambda path: (hashed.append(path), real(path))[1])
    cache, video = CropCache(tmp_path / "cache"), tmp_path / "a.mp4"
    video.write_bytes(b"first")
    before = cache.key(video, "a")
    assert CropCache(tmp_path / "cache").key(video, "a") == before
    assert len(hashed) == 1
    video.write_bytes(b"later")
    os.utime(video, ns=(1, 1))
    assert cache.key(video, "a") != before
    assert len(hashed) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, crops: FaceCrops) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(F2VError, match="F2V_CACHE"):
        CropCache(tmp_path / "file").save("ab12", crops)


def test_cache_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("F2V_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("crops") == tmp_path / "f2v-bench" / "crops"
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "mine"))
    assert cache_folder("crops") == tmp_path / "mine" / "crops"
