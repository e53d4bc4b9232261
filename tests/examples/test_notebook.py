"""The notebook of ``examples/``, executed as a reader would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "evaluate.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(cells) >= 6
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_shows_table_audio_and_plot(tmp_path: Path) -> None:
    notebook = read()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    html = "".join(str(output["data"].get("text/html", "")) for output in outputs if "data" in output)
    assert {"text/html", "image/png"} <= shown
    assert "WER" in html
    assert html.count("<audio") == 2
    stoi = next(output["data"]["text/plain"] for output in reversed(outputs) if "data" in output)
    assert stoi.startswith("{'stoi': 0.")
