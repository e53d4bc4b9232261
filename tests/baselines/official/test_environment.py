from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.official.environment import Environment
from baselines.official.repository import Repository
from baselines.official.requirements import Requirement, missing, refuse
from f2v_bench.errors import F2VError
from tests.baselines.official.checkouts import environment


def test_an_environment_is_a_program_or_a_name_and_never_both() -> None:
    assert Environment.of("x", {"python": sys.executable}).command == (str(Path(sys.executable).absolute()),)
    conda = Environment.of("x", {"conda": "lip2speech"})
    assert conda.command == ("conda", "run", "--no-capture-output", "-n", "lip2speech", "python")
    with pytest.raises(F2VError, match="'x' has no environment") as error:
        Environment.of("x", {"features_python": "python"})
    assert "--set LABEL.python=" in error.value.do
    with pytest.raises(F2VError, match="has two environments"):
        Environment.of("x", {"features_python": "python", "features_conda": "a"}, "features_")


def test_missing_modules_are_found_without_an_import(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("raise RuntimeError('imported')")
    here = Environment.of("x", {"python": sys.executable})
    wanted = ("json", "xml.dom", "no_such_module", "no_such.module", "beside")
    lacks = here.find_missing(
        wanted, "install it", programs=["no-such-program"], python_path=[tmp_path], newest=(3, 10)
    )
    assert [lack.what.split("' ")[-1] for lack in lacks] == [
        "has no no_such_module",
        "has no no_such.module",
        "has no no-such-program",
        f"is Python {sys.version_info[0]}.{sys.version_info[1]}, and 3.10 is the newest that works",
    ]
    assert {lack.do for lack in lacks} == {"install it"}


def test_other_programs_than_python_are_named(tmp_path: Path) -> None:
    def lack(text: str | None) -> str:
        program = tmp_path / "bin/python"
        program.unlink(missing_ok=True)
        if text is not None:
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        (found,) = Environment.of("x", {"python": str(program)}).find_missing(("json",), "")
        return found.what

    assert "there is no program" in lack(None)
    assert "does not answer as Python does" in lack("echo hello")
    assert "does not answer as Python does" in lack("true")
    assert lack("echo no such environment >&2; exit 3").endswith("exit code 3: no such environment")


def test_its_programs_come_first_and_one_gpu_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Environment.of("x", {"python": environment(tmp_path / "bin")})
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = here.variables("cuda:1", [tmp_path / "a", tmp_path / "b"])
    assert found["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")
    assert found["PYTHONPATH"] == f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}"
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert here.variables("cuda:1")["CUDA_VISIBLE_DEVICES"] == "6"
    for device in ("cpu", "cuda"):
        assert "CUDA_VISIBLE_DEVICES" not in here.variables(device)


def test_all_missing_requirements_are_in_one_error(tmp_path: Path) -> None:
    refuse("x", [])
    (tmp_path / "there").mkdir()
    names = ("a.pt", "b.pt", "there")
    with pytest.raises(F2VError, match=r"'x' cannot run: '.*a\.pt' is missing; '.*b\.pt' is missing\n") as error:
        refuse("x", missing(Requirement(tmp_path / name, "ask its authors") for name in names))
    assert error.value.do == "ask its authors"


def test_a_checkout_is_identified_by_its_commit_and_its_code(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(
            ["git", *identity, "-C", str(tmp_path), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    (tmp_path / "code").mkdir()
    script = tmp_path / "code/run.py"
    script.write_text("print(1)")
    checkout = Repository(tmp_path, ("code", "other.py"))
    (tmp_path / "other.py").write_text("")
    (tmp_path / "code/notes.txt").write_text("")
    first = checkout.code_sha256()
    assert checkout.commit() is None
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    assert checkout.commit() == git("rev-parse", "HEAD")
    (tmp_path / "weights.pt").write_text("")
    (tmp_path / "code/notes.txt").write_text("no code")
    assert checkout.code_sha256() == first
    script.write_text("print(2)")
    assert checkout.commit() == f"{git('rev-parse', 'HEAD')}+changes"
    assert checkout.code_sha256() != first
