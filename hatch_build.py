"""Build hook: let ``pip install`` of a checkout find the data packages below ``weights/``."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement


class DataPackages(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Require the data packages from their folders in a wheel that pip builds from a checkout.

    uv finds them as members of its workspace. pip has no workspaces: it would ask an index for them. Wheels for a
    release are built by ``uv build`` or ``python -m build``, not by pip, and keep the plain requirements.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Replace requirements before hatchling writes the metadata of the wheel."""
        if "PIP_BUILD_TRACKER" not in os.environ:  # set by pip alone; hatchling recognizes pip by it, too
            return
        folders = _members(Path(self.root))
        core = self.metadata.core
        for requirements in (core.dependencies, *core.optional_dependencies.values()):
            requirements[:] = [_located(requirement, folders) for requirement in requirements]


def _members(root: Path) -> dict[str, Path]:
    """Return the folders of the data packages by name; empty in an sdist, which has none."""
    projects = sorted(root.glob("weights/*/pyproject.toml"))
    return {tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]: path.parent for path in projects}


def _located(requirement: str, folders: dict[str, Path]) -> str:
    name = Requirement(requirement).name
    return f"{name} @ {folders[name].resolve().as_uri()}" if name in folders else requirement
