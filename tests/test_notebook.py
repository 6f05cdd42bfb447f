"""The notebook of examples/, run by a real kernel: what it shows, and what it completes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / "examples" / "first_schedule.ipynb"
COMPLETE = """
from IPython.core.completer import provisionalcompleter

with provisionalcompleter():
    for name in ("schedule", "table", "schedules"):
        print(name, *sorted(found.text for found in get_ipython().Completer.completions(f"{name}.", len(name) + 1)))
"""


def executed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The notebook with its outputs, and a last cell that completes names."""
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))
    made = nbformat.read(PATH, as_version=4)
    made.cells.append(nbformat.v4.new_code_cell(COMPLETE))
    NotebookClient(made, timeout=300, resources={"metadata": {"path": str(home)}}).execute()
    return made


def shown(notebook: Any, ending: str) -> dict[str, str]:
    """What the kernel shows of the cell that ends so, by media type."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.endswith(ending))
    return {key: text for output in cell.outputs for key, text in output.get("data", {}).items()}


@pytest.mark.slow
def test_a_kernel_shows_pictures_and_completes_no_internals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedule and table are HTML with an SVG, a plot is an SVG without pyplot; names are those that users call."""
    notebook = executed(tmp_path, monkeypatch)
    schedule, table = shown(notebook, "\nschedule"), shown(notebook, "\ntable")
    assert "<svg" in schedule["text/html"]
    assert schedule["text/plain"].startswith("WarmupWithDecay(base_lr=0.0005, ")
    assert "<svg" in table["text/html"]
    assert table["text/plain"].startswith("<Table ")
    assert "<svg" in shown(notebook, "table.plot()")["image/svg+xml"]
    assert shown(notebook, "\nscheduler")["text/plain"].startswith("<TableLR at step 500 of 2,000, lr ")
    lines = notebook.cells[-1].outputs[0].text.splitlines()
    offered = {name: {*names} for name, *names in map(str.split, lines)}
    assert {"base_lr", "get_lr", "table", "plot"} <= offered["schedule"]
    assert {"lr", "digest", "save"} <= offered["table"]
    assert "WarmupWithDecay" in offered["schedules"]
    assert {"fill", "walk", "members", "is_stepped"} & offered["schedule"] == set()
    assert {"parts", "layout", "claims", "computed_elsewhere"} & offered["table"] == set()


def test_the_notebook_is_kept_without_outputs() -> None:
    """What is committed has no outputs, which would be those of some other day."""
    cells = [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
