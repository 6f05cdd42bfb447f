"""What the Dockerfile promises, read from its instructions: no Docker engine is needed to hold it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, continued lines joined."""

    word: str
    argument: str


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    """The instructions of each stage, comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\s*\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found: list[list[Instruction]] = []
    for word, _, argument in (line.partition(" ") for line in joined.splitlines() if line):
        found += [[]] if word == "FROM" else []
        found[-1].append(Instruction(word, argument.strip()))
    return found


def only(stage: list[Instruction], word: str) -> str:
    """The argument of the stage's one such instruction."""
    [argument] = [instruction.argument for instruction in stage if instruction.word == word]
    return argument


def test_the_image_is_built_in_two_stages(stages: list[list[Instruction]]) -> None:
    """Both stages start from one slim Python; what built the wheel stays behind in the first."""
    build, image = stages
    assert only(build, "FROM") == f"{only(image, 'FROM')} AS build"
    assert re.fullmatch(r"python:3\.\d+-slim", only(image, "FROM"))
    assert only(image, "COPY").startswith("--from=build ")


def test_the_image_runs_the_wheel_without_torch(stages: list[list[Instruction]]) -> None:
    """The image installs the built wheel with the server's extras, as pinned, and no torch."""
    steps = [instruction.argument for instruction in stages[0] if instruction.word == "RUN"]
    assert "-m build --wheel" in steps[-1]
    assert '-c constraints.txt "${wheel}[service,plot,postgres,s3,otel]"' in steps[-1]
    assert not [step for step in steps if "torch" in step]


def test_the_server_runs_as_an_unprivileged_user(stages: list[list[Instruction]]) -> None:
    """The server runs as a numbered user that is not root, and owns the data volume, its only place to write."""
    image = stages[-1]
    user = only(image, "USER")
    assert int(user) > 0
    assert f"--uid {user} " in only(image, "RUN")
    assert (only(image, "VOLUME"), only(image, "WORKDIR")) == ("/data", "/data")
    assert "LRTABLES_DATA_DIR=/data" in only(image, "ENV")


def test_the_image_knows_its_health(stages: list[list[Instruction]]) -> None:
    """The health check asks /readyz at the exposed port with Python alone, and fits its own time limit."""
    check = only(stages[-1], "HEALTHCHECK")
    program, flag, script = json.loads(check[check.index("[") :])
    assert (program, flag) == ("python", "-c")
    compile(script, "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{only(stages[-1], 'EXPOSE')}/readyz" in script


def test_the_image_listens_on_the_loopback(stages: list[list[Instruction]]) -> None:
    """Published as it is, the image serves nobody: that others may reach it is for the caller to say."""
    command = json.loads(only(stages[-1], "ENTRYPOINT")) + json.loads(only(stages[-1], "CMD"))
    assert command == ["lrtables", "serve"]
    assert "0.0.0.0" not in only(stages[-1], "ENV")


def test_the_engine_gets_what_the_build_copies(stages: list[list[Instruction]]) -> None:
    """`.dockerignore` lets through what the first stage copies, and nothing else."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [instruction.argument.split()[:-1] for instruction in stages[0] if instruction.word == "COPY"]
    assert {line[1:] for line in lines if line.startswith("!")} == {name for names in copied for name in names}


@pytest.fixture
def image(stages: list[list[Instruction]], tmp_path: Path) -> Path:
    """The folder in which the first stage's steps ran: what it copies is in src, what it makes in opt and dist."""
    (tmp_path / "src").mkdir()
    for instruction in stages[0]:
        if instruction.word == "COPY":
            _copy(instruction.argument.split()[:-1], tmp_path / "src")
        elif instruction.word == "RUN":
            _run(instruction.argument, tmp_path)
    return tmp_path


def _copy(names: list[str], target: Path) -> None:
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target / name)


def _run(step: str, folder: Path) -> None:
    """Run a step with the image's folders put under that one."""
    script = re.sub(r"(?<![\w/}])/(opt|dist)\b", rf"{folder}/\1", step)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=folder / "src", env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


@pytest.mark.slow(30)
def test_the_steps_make_a_healthy_server(image: Path, stages: list[list[Instruction]], free_port: int) -> None:
    """Run without an engine, the build's steps give a server without torch that passes the image's health check."""
    commands = image / "opt/lrtables/bin"
    environment = {**os.environ, "LRTABLES_DATA_DIR": str(image / "data"), "LRTABLES_PORT": str(free_port)}
    check = only(stages[-1], "HEALTHCHECK").replace("8000", str(free_port))
    script = json.loads(check[check.index("[") :])[-1]
    assert subprocess.run([commands / "python", "-c", "import torch"], capture_output=True, check=False).returncode == 1
    subprocess.run([commands / "python", "-c", "import obstore, opentelemetry.sdk, psycopg"], check=True)
    with subprocess.Popen([commands / "lrtables", "serve"], cwd=image, env=environment) as server:
        try:
            assert _is_healthy([str(commands / "python"), "-c", script], server)
        finally:
            server.terminate()


def _is_healthy(check: list[str], server: subprocess.Popen[bytes], patience: float = 60.0) -> bool:
    """Whether the check passes within the patience, in seconds, of a server that is still running."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and server.poll() is None:
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.2)
    return False
