"""Names of run folders of format 1, read for one version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.scoring.records import canonical_column, canonical_signature

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
        "metrics": [_upgrade_metric(metric) for metric in manifest.get("metrics", [])],
    }


def _upgrade_metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **metric,
        "signature": canonical_signature(metric["signature"]),
        "columns": [{**column, "name": canonical_column(column["name"])} for column in metric["columns"]],
    }


def upgrade_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record under their present names."""
    return _rename(fields, _RECORD)


def upgrade_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table ``clips``, ``audio`` or ``scores`` under present names and spelling."""
    if name == "clips":
        table = table.rename(columns=_CLIPS_TABLE)
        return table.assign(face_status=table["face_status"].replace(_FACE_STATUS))
    if name == "scores":
        return table.assign(
            signature=_spell(table["signature"], canonical_signature), column=_spell(table["column"], canonical_column)
        )
    return table


def _spell(names: pd.Series[str], canonical: Callable[[str], str]) -> pd.Series[str]:
    return names.map({name: canonical(name) for name in names.unique()})


def _rename(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
