"""One server alone, in a container or in a pod: docs/deployment.md and deploy/kubernetes/single.yaml."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.__main__ import main
from service.settings import Settings
from tests.support.servers.deployment import DEPLOY

PAGE = (DEPLOY.parent / "docs/deployment.md").read_text(encoding="utf-8")
DOCKERFILE = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
OBJECTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes/single.yaml").read_text(encoding="utf-8"))
}
POD: dict[str, Any] = OBJECTS["Deployment"]["spec"]["template"]["spec"]


def _of_several() -> dict[str, Any]:
    """The server's pod where there are several of them."""
    every = yaml.safe_load_all((DEPLOY / "kubernetes/server.yaml").read_text(encoding="utf-8"))
    [deployment] = [one for one in every if one["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["spec"])


def test_the_page_gives_the_container_what_the_image_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """The page's `docker run` mounts the image's volume, publishes its port, and runs commands that there are."""
    runs = [shlex.split(line) for line in re.findall(r"^docker run (.*)$", PAGE, re.MULTILINE)]
    assert len(runs) == 2
    for words in runs:
        assert words[words.index("--volume") + 1] == f"lrtables:{re.findall(r'^VOLUME (.*)$', DOCKERFILE, re.M)[0]}"
        command = words[len(words) - 1 - words[::-1].index("lrtables") + 1 :]
        with pytest.raises(SystemExit, match="0"):
            main([*command, "--help"])
    assert command == ["serve", "--host", "0.0.0.0"]
    assert words[words.index("--publish") + 1].endswith(f":{re.findall(r'^EXPOSE (.*)$', DOCKERFILE, re.M)[0]}")
    assert float(words[words.index("--stop-timeout") + 1]) > Settings().drain_seconds
    assert "usage: lrtables serve" in capsys.readouterr().out


def test_there_is_never_a_second_server_on_the_volume() -> None:
    """There is one pod, which leaves before the next one starts, with time to finish its requests."""
    spec = OBJECTS["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert POD["terminationGracePeriodSeconds"] > Settings().drain_seconds
    [claim] = [one["persistentVolumeClaim"]["claimName"] for one in POD["volumes"] if one["name"] == "data"]
    assert claim == OBJECTS["PersistentVolumeClaim"]["metadata"]["name"]
    assert OBJECTS["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_pod_is_as_safe_and_as_watched_as_one_of_several() -> None:
    """What it may do, what is probed and what the Service forwards to are as for several servers."""
    several = _of_several()
    [server], [one_of_several] = POD["containers"], several["containers"]
    for key in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        assert POD[key] == several[key]
    for key in ("args", "ports", "startupProbe", "livenessProbe", "readinessProbe", "securityContext", "volumeMounts"):
        assert server[key] == one_of_several[key]
    assert POD["initContainers"][0]["securityContext"] == server["securityContext"]
    selector = OBJECTS["Deployment"]["spec"]["selector"]["matchLabels"]
    assert OBJECTS["Service"]["spec"]["selector"] == selector
    assert OBJECTS["Deployment"]["spec"]["template"]["metadata"]["labels"] == selector


def test_the_first_start_makes_the_token_and_the_next_ones_none(tmp_path: Path) -> None:
    """What the pod runs before the server leaves one valid token in a file that only its owner can read."""
    [step] = POD["initContainers"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LRTABLES_DATA_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run(step["command"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    file = tmp_path / "admin.token"
    listed = subprocess.run(
        ["lrtables", "token", "list"], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert re.fullmatch(r"lrt_\S+\n", file.read_text(encoding="utf-8"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [line.split()[1:4] for line in listed.stdout.splitlines()[1:]] == [["admin", "valid", "admin"]]
