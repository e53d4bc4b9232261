"""Python environment of an official repository, installed by the user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.official.requirements import MissingRequirement
from f2v_bench.errors import F2VError

_PROBE_S = 120.0  # conda takes seconds to start anything
_PROBE = """
import importlib.util, json, shutil, sys
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
modules, programs = json.loads(sys.argv[1])
gone = [name for name in modules if not there(name)] + [name for name in programs if not shutil.which(name)]
print(json.dumps({"version": sys.version_info[:2], "missing": gone}))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """Command that starts Python in an environment.

    Attributes:
        command: words before the name of a script.
        folder: folder of the installed programs, first on the search path; None where conda sets it.
    """

    command: tuple[str, ...]
    folder: Path | None = None

    @classmethod
    def of(cls, name: str, settings: Mapping[str, str], prefix: str = "") -> Environment:
        """Return the environment of the settings ``python`` (a program) or ``conda`` (name of an environment).

        Args:
            name: name of the system, for messages.
            settings: settings of the system.
            prefix: prefix of the names of the two settings.

        Raises:
            F2VError: Neither or both of them are set.
        """
        python, conda = settings.get(f"{prefix}python"), settings.get(f"{prefix}conda")
        if (python is None) == (conda is None):
            raise F2VError(
                f"'{name}' has {'two environments' if python else 'no environment'} to run in",
                f"write --set LABEL.{prefix}python=/path/to/env/bin/python, or --set LABEL.{prefix}conda=NAME",
            )
        if conda is not None:
            return cls(("conda", "run", "--no-capture-output", "-n", conda, "python"))
        found = shutil.which(Path(str(python)).expanduser())
        # not resolved: the python of a virtual environment is a link, and its location identifies the environment
        return cls((str(Path(found).absolute()),), Path(found).absolute().parent) if found else cls((str(python),))

    def variables(self, device: str, python_path: Sequence[Path] = ()) -> dict[str, str]:
        """Return the environment variables of a command.

        Args:
            device: device; ``cuda:N`` selects one of the visible GPUs, anything else leaves the choice to the process.
            python_path: folders to search for modules before the installed ones.
        """
        found = {"PYTHONPATH": os.pathsep.join(map(str, python_path))}
        if self.folder is not None:
            found["PATH"] = f"{self.folder}{os.pathsep}{os.environ.get('PATH', '')}"
        _, colon, number = device.partition("cuda:")
        if colon:
            visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
            found["CUDA_VISIBLE_DEVICES"] = visible[int(number)] if int(number) < len(visible) else number
        return found

    def find_missing(
        self,
        modules: Sequence[str],
        instructions: str,
        *,
        programs: Sequence[str] = (),
        python_path: Sequence[Path] = (),
        newest: tuple[int, int] | None = None,
    ) -> list[MissingRequirement]:
        """Return what the environment lacks; nothing is imported there.

        Args:
            modules: modules that must be importable.
            instructions: installation of the environment, for messages.
            programs: programs that must be on its search path.
            python_path: module folders, as in ``variables``.
            newest: newest version of Python that works.
        """
        command = " ".join(self.command)
        if shutil.which(self.command[0]) is None:
            return [MissingRequirement(f"there is no program '{self.command[0]}'", instructions)]
        try:
            done = subprocess.run(
                [*self.command, "-c", _PROBE, json.dumps([list(modules), list(programs)])],
                env={**os.environ, **self.variables("", python_path)},
                capture_output=True,
                text=True,
                timeout=_PROBE_S,
                check=True,
            )
            found = json.loads(done.stdout.strip().splitlines()[-1])
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines()
            return [
                MissingRequirement(
                    f"'{command}' ends with exit code {error.returncode}: {lines[-1] if lines else 'no output'}",
                    instructions,
                )
            ]
        except (subprocess.TimeoutExpired, OSError, IndexError, ValueError) as error:
            return [MissingRequirement(f"'{command}' does not answer as Python does: {error}", instructions)]
        absent = [MissingRequirement(f"'{command}' has no {one}", instructions) for one in found["missing"]]
        if newest is not None and tuple(found["version"]) > newest:
            version, works = ".".join(map(str, found["version"])), ".".join(map(str, newest))
            absent.append(
                MissingRequirement(
                    f"'{command}' is Python {version}, and {works} is the newest that works", instructions
                )
            )
        return absent
