"""Fixtures shared by the tests of several rooms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one core per worker: read when torch is imported, and by child processes
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("f2v", deadline=None)  # a busy machine is not a failure
settings.load_profile("f2v")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2V_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real video and speech; skip tests that need it where it is absent."""
    folder = Path(os.environ.get("F2V_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"no reference data at {folder}: set F2V_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Provide clips of noise as the training corpus."""
    from tests.training.staged import noise_corpus

    with noise_corpus(tmp_path_factory.mktemp("prepared")):
        yield
