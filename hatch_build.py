"""Build hook: let ``pip install`` of a checkout find the data packages below ``weights/``."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataPackages(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Add the folders of the data packages to the requirements of a wheel that pip builds from a checkout.

    uv finds them as members of its workspace. pip has no workspaces: it would ask an index for them. A wheel for a release
    is built by ``uv build`` or ``python -m build``, without pip, and keeps the plain requirements.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Extend ``build_data``, which is hatchling's contract, before the wheel is built."""
        if "PIP_BUILD_TRACKER" not in os.environ:  # set by pip alone; hatchling itself recognizes pip by it
            return
        root = Path(self.root)
        members = {_name(path): path.parent for path in root.glob("weights/*/pyproject.toml")}
        core = self.metadata.core
        required = [(one.name, "") for one in core.dependencies_complex.values()]
        for extra, requirements in core.optional_dependencies_complex.items():
            required += [(one.name, f" ; extra == '{extra}'") for one in requirements.values()]
        build_data["dependencies"] += [
            f"{name} @ {members[name].resolve().as_uri()}{marker}" for name, marker in required if name in members
        ]


def _name(project: Path) -> str:
    name: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"]
    return name
