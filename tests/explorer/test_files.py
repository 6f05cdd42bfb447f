"""Everything that is taken away from the page: files, code, and the page itself as one file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from playwright.sync_api import Page, expect

from scheduler import Spec
from service.explorer.static import write_static
from tests.explorer.conftest import Open, digest
from tests.support.servers.process import ServerProcess

RAMP = {"kind": "Ramp", "start": 3e-4, "stop": 0.0, "length": 40, "shape": "1-sqrt"}
SPEC: dict[str, Any] = {
    "schedule": [RAMP, {**RAMP, "start": 1.0}],
    "columns": {"weight_decay": {"kind": "Constant", "value": 1e-5}},
    "total_steps": 40,
    "axis": "token",
    "stride": 1000,
}
LINK = "#spec=" + quote(json.dumps(SPEC))


def saved(page: Page, name: str) -> bytes:
    """The file that a button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save {name}", exact=True).click()
    return Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("spec", [SPEC, {"schedule": RAMP, "total_steps": 40}], ids=["columns", "one"])
def test_saved_files_are_the_servers_byte_for_byte(
    open_page: Open, shared_server: ServerProcess, spec: dict[str, Any]
) -> None:
    """CSV, npy and safetensors are made in the page; pictures show the curve."""
    page = open_page("#spec=" + quote(json.dumps(spec)))
    found = digest(page)
    page.get_by_role("button", name="Compare with the server").click()  # it now keeps the table
    expect(page.locator(".checked.same")).to_be_visible()
    for name, extension in (("CSV", "csv"), ("npy", "npy"), ("safetensors", "safetensors")):
        assert saved(page, name) == shared_server.get(f"/v1/tables/{found}.{extension}"), name
    assert saved(page, "PNG").startswith(b"\x89PNG")
    svg = saved(page, "SVG").decode()
    assert svg.count("<path") >= len(spec["schedule"]) if isinstance(spec["schedule"], list) else 1


def test_code_means_the_same_spec(open_page: Open) -> None:
    """Python, curl, YAML and JSON all carry the spec of the page, and the Python runs."""
    page = open_page(LINK)
    wanted, expected = digest(page), Spec.model_validate_json(json.dumps(SPEC))
    said = {}
    for name in ("Python", "TableLR", "curl", "YAML", "JSON"):
        page.get_by_role("button", name=name, exact=True).click()
        said[name] = page.get_by_label("Code", exact=True).inner_text()
    done = subprocess.run([sys.executable, "-c", said["Python"]], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == wanted
    ast.parse(said["TableLR"])
    for data in (yaml.safe_load(said["YAML"]), json.loads(said["JSON"])):
        assert Spec.model_validate_json(json.dumps(data)) == expected
    assert json.dumps(SPEC, separators=(",", ":")).replace("3e-4", "0.0003")[:30] in said["curl"]


def test_the_page_works_from_a_disk_without_a_network(open_page: Open, tmp_path: Path) -> None:
    """The static page computes, draws and saves from `file://`; a kind that needs a server is refused in a sentence."""
    path = write_static(tmp_path / "explorer")
    page = open_page(LINK, url=path.as_uri(), offline=True)
    assert digest(page) == Spec.model_validate_json(json.dumps(SPEC)).table().digest
    assert saved(page, "npy").startswith(b"\x93NUMPY")
    page.keyboard.press("/")
    page.keyboard.type("wsd")
    page.keyboard.press("Enter")
    expect(page.locator(".chart.main, .notice").first).to_be_visible()
    page.evaluate("location.hash = '#recipe=bert-base'")
    expect(page.get_by_role("button", name="bert-base")).to_be_visible()
