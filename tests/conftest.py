"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: read when torch is imported, and by processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("f2v", deadline=None)  # a busy machine is no failure
settings.load_profile("f2v")

ROOT = Path(__file__).resolve().parents[1]


def script(name: str) -> ModuleType:
    """A file of ``scripts/`` as a module, which finds its neighbours as it does when it is run."""
    if str(ROOT / "scripts") not in sys.path:
        sys.path.append(str(ROOT / "scripts"))
    spec = spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    sys.modules[name] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither see nor touch the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2V_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material with real video and speech; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("F2V_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"no reference data at {folder}: set F2V_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trainings find clips of noise."""
    from tests.training.staged import noise_corpus

    with noise_corpus(tmp_path_factory.mktemp("prepared")):
        yield
