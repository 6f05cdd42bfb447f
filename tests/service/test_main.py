"""The command line, in processes of its own."""

import shlex
import signal
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from service.database.metadata import open_metadata
from service.security.tokens import new_token
from service.settings import Settings
from tests.support.servers.commands import run_command
from tests.support.servers.process import ServerProcess


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status of a command that ends by itself, and what it wrote to stderr."""
    status, printed, said = run_command(*arguments, **environment)
    assert printed == ""
    return status, said


def test_the_first_line_is_the_address(shared_server: ServerProcess) -> None:
    """A server on port 0 prints where it listens, and answers there."""
    assert shared_server.url.startswith("http://127.0.0.1:")
    assert shared_server.get("/readyz") == b'{"status":"ok"}'


def test_sigterm_ends_it_well(server: ServerProcess) -> None:
    """A server that is asked to stop exits with 0, and says nothing; its data directory is free again."""
    server.get("/livez")
    assert server.stop() == (0, "")


def test_sigterm_lets_requests_finish(server: ServerProcess, spec: dict[str, Any]) -> None:
    """A body that is being sent when the server is asked to stop still comes whole."""
    steps = 2_000_000
    body = {"schedule": {**spec["schedule"], "total_steps": steps}, "total_steps": steps}
    with urllib3.PoolManager() as pool:
        manifest = pool.request("POST", f"{server.url}/v1/tables", json=body).json()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        path = manifest["links"]["safetensors"]
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = len(connection.recv(1000))
        server.process.send_signal(signal.SIGTERM)
        while chunk := connection.recv(2**20):
            received += len(chunk)
    assert received > manifest["sizes"]["safetensors"]
    assert server.process.wait(30) == 0


def test_a_directory_in_use_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    """A second server on a data directory exits at once and says why."""
    status, said = run("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert (status, said.strip()) == (2, f"lrtables: another server uses the data directory {tmp_path / 'data'}")


def test_a_port_in_use_is_refused(shared_server: ServerProcess, tmp_path: Path) -> None:
    """A port that is taken is an error that says so."""
    status, said = run("serve", "--port", str(shared_server.port), "--data-dir", str(tmp_path / "other"))
    assert (status, "Address already in use" in said) == (2, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "somewhere.example"])
def test_other_machines_are_kept_out(tmp_path: Path, host: str) -> None:
    """Without authentication the server listens on the loopback alone, unless told that it may not matter."""
    status, said = run("serve", "--host", host, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert status == 2
    assert f"refusing to listen on {host}" in said
    assert "--insecure-no-auth" in said


def test_tokens_that_are_over_are_none(tmp_path: Path) -> None:
    """A server that asks for tokens does not start where each has expired or was revoked: nobody could use it."""
    with closing(open_metadata(Settings(data_dir=tmp_path))) as metadata:
        metadata.tokens.add(replace(new_token("expired", ["read"], expires_in=None)[1], expires_at=2.0))
        metadata.tokens.add(replace(new_token("revoked", ["read"], expires_in=None)[1], revoked_at=2.0))
    status, said = run("serve", "--port", "0", "--data-dir", str(tmp_path), LRTABLES_REQUIRE_TOKENS="true")
    assert (status, "tokens are required, and none is valid" in said) == (2, True)


def test_the_refusal_has_the_command_that_helps(tmp_path: Path) -> None:
    """What the server prints, where it needs a token and has none, is a command that makes it start."""
    folder = tmp_path / "my data"
    status, said = run("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(folder))
    assert f"created a new, empty database: sqlite:///{folder}/metadata.sqlite" in said
    hint = said.strip().rpartition("create a token: ")[2]
    assert (status, hint) == (2, f"lrtables token create admin --scope admin --data-dir '{folder}'")
    command = [sys.executable, "-m", "service", *shlex.split(hint)[1:]]
    made = subprocess.run(command, capture_output=True, check=True)
    assert b"created a new" not in made.stderr
    with ServerProcess(folder, host="0.0.0.0") as server:
        assert server.get("/livez")


def test_other_machines_are_let_in_on_request(tmp_path: Path) -> None:
    """The environment can say what the options say, and the flag opens the server to others."""
    with ServerProcess(tmp_path / "data", host="0.0.0.0", insecure_no_auth=True) as server:
        with urllib3.PoolManager() as pool:
            assert pool.request("GET", f"http://127.0.0.1:{server.port}/livez").status == 200
        assert server.get("/livez")  # at the address that it prints, which other machines can use
        assert server.process.stdout is not None
        folder = tmp_path / "data"
        assert (
            server.process.stdout.readline() == f"created a new, empty database: sqlite:///{folder}/metadata.sqlite\n"
        )
        assert not ip_address(urlsplit(server.url).hostname or "").is_unspecified


def test_a_senseless_setting_is_named() -> None:
    """A setting out of its range is named, with the value."""
    status, said = run("serve", LRTABLES_MAX_STEPS="-3")
    assert status == 2
    assert "max_steps" in said
    assert "-3" in said


def test_an_empty_folder_is_refused() -> None:
    """An empty --data-dir, as from a variable that is not set, is not the folder that one is in."""
    status, said = run("serve", "--port", "0", "--data-dir", "")
    assert (status, "must be a path, got ''" in said) == (2, True)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """Where the service extra is missing, `serve` says how to install it, and the rest works."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')")
    status, said = run("serve", PYTHONPATH=str(tmp_path))
    assert (status, said.strip()) == (2, "lrtables: the server needs uvicorn: pip install 'lrtables[service]'")


def test_the_command_line_loads_no_server() -> None:
    """The command that needs no server loads none of it."""
    script = (
        "import sys, service.__main__; print(sorted({'fastapi', 'uvicorn', 'pydantic_settings'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
