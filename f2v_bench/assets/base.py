"""Asset record: file, hash, license and source of one weight file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2v_bench.errors import F2VError
from f2v_bench.utils.paths import asset_folder


@dataclass(frozen=True, slots=True)
class Asset:
    """One weight file that the suite can use.

    Attributes:
        name: name in ``f2v-bench assets`` and in error messages.
        filename: path of the file below the asset folder.
        sha256: hash of the published file, or None where the publisher states none that could be checked.
        license: license of the weights.
        enables: features that need the file.
        url: address that ``assets pull`` fetches; None where a person must ask for the file.
        instructions: one sentence on how a person gets the file.
        package: ``(module, path inside it)`` where an installed package ships the file.
        other_homes: paths where other tools may have stored the file, ``~`` allowed.
    """

    name: str
    filename: str
    sha256: str | None
    license: str
    enables: str
    url: str | None = None
    instructions: str = ""
    package: tuple[str, str] | None = None
    other_homes: tuple[str, ...] = ()


class AssetMissing(F2VError):
    """A weight file is not on this machine."""

    def __init__(self, asset: Asset) -> None:
        action = f"f2v-bench assets pull {asset.name}" if asset.url else asset.instructions
        super().__init__(
            f"the asset '{asset.name}' ({asset.filename}) is not on this machine",
            f"{action}; or copy the file to {asset_folder() / asset.filename}",
        )
        self.asset = asset

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.asset,)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
