"""Reader of the names that run folders of format 1 use; they are read for one version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_DATASET = {"licence": "license", "listed": "list_size"}
_SYSTEM = {"anchor": "reference"}
_RECORD = {"seen": "visible"}  # FaceRecord
_CLIPS_TABLE = {"face_seen": "face_visible"}
_FACE_STATUS = {"not_looked_for": "not_detected"}


def upgrade_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``run.json`` of format 1 under the names of format 2."""
    return {
        **manifest,
        "dataset": _rename(manifest.get("dataset", {}), _DATASET),
        "systems": [_rename(system, _SYSTEM) for system in manifest.get("systems", [])],
    }


def upgrade_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record under their present names."""
    return _rename(fields, _RECORD)


def upgrade_clips_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``clips.parquet`` under its present column names and face statuses."""
    table = table.rename(columns=_CLIPS_TABLE)
    if "face_status" in table:
        table["face_status"] = table["face_status"].replace(_FACE_STATUS)
    return table


def _rename(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
