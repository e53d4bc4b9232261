from __future__ import annotations

import os
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.cluster import KMeans, MiniBatchKMeans

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.kmeans import read_centers


def points(dtype: type = np.float32) -> Any:
    return np.random.default_rng(0).normal(size=(60, 5)).astype(dtype)


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_a_published_k_means_is_read(tmp_path: Path, protocol: int, kind: Any) -> None:
    """The centers are read between labels, counts, a generator's state and NumPy's scalars."""
    random = np.random.RandomState(0)
    model = kind(4, n_init=1, random_state=random).fit(points())
    model.inertia_of_each = np.arange(3)
    model.note = np.array(["text"])
    joblib.dump(model, tmp_path / "km.bin", protocol=protocol)
    found = read_centers(tmp_path / "km.bin", "")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.cluster_centers_)


def test_columns_first_and_big_numbers_are_read(tmp_path: Path) -> None:
    model = KMeans(4, n_init=1).fit(points(np.float64))
    for centers in (np.asfortranarray(model.cluster_centers_), model.cluster_centers_.astype(">f8")):
        model.cluster_centers_ = centers
        joblib.dump(model, tmp_path / "km.bin")
        np.testing.assert_allclose(read_centers(tmp_path / "km.bin", ""), centers, rtol=1e-6)


def test_files_before_joblib_1_2_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in published files, arrays follow without alignment bytes."""
    import joblib.numpy_pickle as written

    def plain(self: Any, *arguments: Any, **__: Any) -> None:
        for name, value in zip(("subclass", "shape", "order", "dtype", "allow_mmap"), arguments, strict=False):
            setattr(self, name, value)
        self.allow_mmap = True

    monkeypatch.setattr(written.NumpyArrayWrapper, "__init__", plain)
    model = KMeans(4, n_init=1).fit(points())
    joblib.dump(model, tmp_path / "km.bin", protocol=3)
    assert b"alignment" not in (tmp_path / "km.bin").read_bytes()
    np.testing.assert_array_equal(read_centers(tmp_path / "km.bin", ""), model.cluster_centers_)


def test_plain_arrays_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", points(np.float64))
    save_file({"centers": points()}, tmp_path / "a.safetensors")
    for name in ("a.npy", "a.safetensors"):
        np.testing.assert_array_equal(read_centers(tmp_path / name, ""), points(np.float64).astype(np.float32))


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_of_a_file_is_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    model = KMeans(4, n_init=1).fit(points())
    model.first = Calls(os.system, f"touch {mark}")
    model.second = Calls(eval, f"open({str(mark)!r}, 'w')")
    model.third = Calls(Path.touch, mark)
    model.fourth = Calls(getattr, Calls(__import__, "os"), "system")
    joblib.dump(model, tmp_path / "km.bin", protocol=protocol)
    np.testing.assert_array_equal(read_centers(tmp_path / "km.bin", ""), model.cluster_centers_)
    assert not mark.exists()


def test_no_library_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = KMeans(4, n_init=1).fit(points())
    joblib.dump(model, tmp_path / "km.bin")
    for name in [name for name in sys.modules if name.split(".")[0] in ("joblib", "sklearn")]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises ImportError
    np.testing.assert_array_equal(read_centers(tmp_path / "km.bin", ""), model.cluster_centers_)


def whole_file(path: Path, centers: Any = None) -> bytes:
    model = KMeans(4, n_init=1).fit(points())
    if centers is not None:
        model.cluster_centers_ = centers
    joblib.dump(model, path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damaged",
    [
        lambda path: whole_file(path)[:400],
        lambda path: b"",
        lambda path: b"not a pickle",
        lambda path: zlib.compress(whole_file(path)),
        lambda path: pickle.dumps(3),
        lambda path: pickle.dumps(Calls(dict)),
        lambda path: whole_file(path, np.array([[1.0, "a"]], dtype=object)),
        lambda path: b"\x80\x02}}b.",
    ],
    ids=["cut", "empty", "text", "packed", "number", "no centers", "objects", "changes a dict"],
)
def test_damaged_files_are_refused(tmp_path: Path, damaged: Any) -> None:
    path = tmp_path / "km.bin"
    path.write_bytes(damaged(path))
    with pytest.raises(F2VError, match=r"km\.bin' cannot be read as cluster centers") as refused:
        read_centers(path, "get it")
    assert refused.value.do == "get it"


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    for array in (np.ones(3), np.ones((2, 2), int), np.ones((0, 2)), np.full((2, 2), np.nan)):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(F2VError, match=r"a\.npy' has"):
            read_centers(tmp_path / "a.npy", "")
    mark = tmp_path / "ran"
    np.save(tmp_path / "a.npy", np.array([Calls(open, str(mark), "w")], dtype=object), allow_pickle=True)
    with pytest.raises(F2VError, match="cannot be read"):
        read_centers(tmp_path / "a.npy", "")
    assert not mark.exists()
    save_file({"a": points(), "b": points()}, tmp_path / "a.safetensors")
    with pytest.raises(F2VError, match="cannot be read"):
        read_centers(tmp_path / "a.safetensors", "")


def test_an_array_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    model = KMeans(4, n_init=1).fit(points())
    joblib.dump(model, tmp_path / "km.bin", protocol=2)
    content = (tmp_path / "km.bin").read_bytes()
    shape = b"K\x04K\x05\x86"  # (4, 5)
    assert content.count(shape) == 1
    (tmp_path / "km.bin").write_bytes(content.replace(shape, b"J\xff\xff\xff\x7fK\x05\x86"))
    with pytest.raises(F2VError, match="does not fit into the file"):
        read_centers(tmp_path / "km.bin", "")
