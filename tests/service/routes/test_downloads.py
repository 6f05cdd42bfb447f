"""The files of a table, downloaded by tools that resume."""

import subprocess
from pathlib import Path

import pytest

from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay
from service.representations.formats import FORMATS
from tests.support.servers.process import ServerProcess, post

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 10_000), total_steps=10_000)
TABLE = Table.compute(SPEC)
COMMANDS = {"wget": ["wget", "--quiet", "--continue", "--tries=1"], "curl": ["curl", "-sS", "--fail", "-C", "-", "-O"]}


@pytest.fixture(scope="module")
def address(shared_server: ServerProcess) -> str:
    return f"{shared_server.url}/v1/tables/{post(shared_server, SPEC.model_dump(mode='json'))}"


@pytest.mark.parametrize("extension", [item.extension for item in FORMATS])
@pytest.mark.parametrize("tool", [pytest.param(tool, marks=pytest.mark.needs(tool)) for tool in COMMANDS])
def test_a_download_is_resumed(
    shared_server: ServerProcess, address: str, tmp_path: Path, tool: str, extension: str
) -> None:
    """A file of which a part is there is completed, in every format, and a complete one stays as it is."""
    whole = shared_server.get(f"{address.removeprefix(shared_server.url)}.{extension}")
    file = tmp_path / f"{TABLE.digest}.{extension}"
    file.write_bytes(whole[:70_001])
    command = [*COMMANDS[tool], f"{address}.{extension}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, file.read_bytes() == whole) == (0, True), done.stderr
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)  # there is nothing to send: 416
    assert file.read_bytes() == whole
