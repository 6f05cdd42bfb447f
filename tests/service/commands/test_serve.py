"""`lrtables serve`: signals during the start, and settings and versions that it rejects."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.server.uvicorn_adapter import SUPPORTED
from tests.support.servers.commands import preloaded_commands


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("moment", ["open_server", "assemble", "get_loop_factory", "load", "startup"])
def test_a_signal_during_the_start_is_a_clean_stop(tmp_path: Path, moment: str, number: str) -> None:
    """A server that gets a signal while it starts exits with 0, and prints nothing but its URL."""
    script = f"""
import os, signal, sys
import uvicorn
import service.app
from service.__main__ import main

def interrupted(function):
    def called(*arguments, **options):
        os.kill(os.getpid(), signal.{number})
        return function(*arguments, **options)
    return called

for owner in (service.app, uvicorn.Config, uvicorn.Server):
    if hasattr(owner, {moment!r}):
        setattr(owner, {moment!r}, interrupted(getattr(owner, {moment!r})))
sys.exit(main(["serve", "--port", "0", "--data-dir", {str(tmp_path / "data")!r}]))
"""
    path = tmp_path / "interrupted.py"
    path.write_text(script)
    finished = preloaded_commands().run([str(path)], folder=tmp_path, environment=os.environ, warnings="error")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.count("http://127.0.0.1:") == (moment not in {"open_server", "assemble"})


def test_a_misspelt_variable_is_rejected(tmp_path: Path) -> None:
    """The server does not start with a variable that is likely a misspelt setting, because it would ignore it."""
    data = tmp_path / "data"
    command = [sys.executable, "-W", "error", "-m", "service", "serve", "--port", "0", "--data-dir", str(data)]
    environment = {**os.environ, "LRTABLES_REQUIRE_TOKEN": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lrtables: LRTABLES_REQUIRE_TOKEN is no setting: did you mean LRTABLES_REQUIRE_TOKENS?\n"
    assert not data.exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("module.HttpToolsProtocol._start_asgi_task", "it has no HttpToolsProtocol._start_asgi_task"),
        ("module.RequestResponseCycle", "cannot import name 'RequestResponseCycle' from"),
    ],
)
def test_an_unsupported_uvicorn_is_rejected(tmp_path: Path, missing: str, message: str) -> None:
    """The server does not start with a uvicorn that lacks a name that connections use."""
    script = f"""
import sys
import uvicorn.protocols.http.httptools_impl as module
del {missing}
from service.__main__ import main
sys.exit(main(["serve", "--port", "0", "--data-dir", {str(tmp_path / "data")!r}]))
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lrtables: uvicorn ")
    assert message in done.stderr
    assert f"pip install 'uvicorn[standard]{SUPPORTED}'" in done.stderr
    assert not (tmp_path / "data").exists()
