"""A server that is asked thousands of things that its OpenAPI document allows, and that it does not."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.conftest import IN_CI
from tests.support.campaign import cases
from tests.support.servers.process import ServerProcess

pytestmark = [pytest.mark.slow(20), pytest.mark.timeout(900)]

CONFIG = Path(__file__).with_name("schemathesis.toml")
FEWEST = 5000  # requests
LARGEST = 100_000  # steps: the tables that are asked for are made
INSIDE = ("Constant", "torch.StepLR", "Shift")  # kinds inside of composites
MEMBERS = ("torch.StepLR", "torch.ChainedScheduler")  # kinds inside of torch's composites


def document(url: str) -> str:
    """The server's document, with each kind in one place: a quarter of a million cases are not worth it.

    The coverage phase asks for each kind, with each of its parameters wrong in every way, in each place that takes any.
    Here a table's one schedule is of any kind, and lists, columns, composites and runs have few kinds: all are read by
    the same code. `test_edge_specs.py` goes into the depth.
    """
    text = urllib3.request("GET", f"{url}/v1/openapi.json").data.decode()
    schemas = (found := json.loads(text))["components"]["schemas"]
    kinds = schemas["AnySchedule"]["discriminator"]["mapping"]
    for name in schemas.keys() - {"Spec", "AnySchedule"}:
        inner = json.dumps(schemas[name]).replace("schemas/AnySchedule", "schemas/FewSchedules")
        schemas[name] = json.loads(inner)
    schemas["FewSchedules"] = _one_of({name: kinds[name] for name in INSIDE})
    for name in ("SequentialLR", "ChainedScheduler"):
        schemas[name]["properties"]["schedulers"]["items"] = _one_of({name: kinds[name] for name in MEMBERS})
    schemas["FewSpecs"] = json.loads(json.dumps(schemas["Spec"]).replace("schemas/AnySchedule", "schemas/FewSchedules"))
    schedule = schemas["Spec"]["properties"]["schedule"]["oneOf"][0]
    assert schedule == {"$ref": "#/components/schemas/AnySchedule"}
    schemas["Spec"] = json.loads(json.dumps(schemas["FewSpecs"]))
    schemas["Spec"]["properties"]["schedule"]["oneOf"][0] = schedule
    for path, operations in found["paths"].items():
        if path.startswith("/v1/runs"):  # a run's spec is read as that of a table
            found["paths"][path] = json.loads(json.dumps(operations).replace('schemas/Spec"', 'schemas/FewSpecs"'))
    return json.dumps(found)


def _one_of(kinds: dict[str, str]) -> dict[str, Any]:
    """A schedule of one of these kinds, whose schemas are named."""
    return {
        "oneOf": [{"$ref": reference} for reference in kinds.values()],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }


def check(url: str, folder: Path, *options: str) -> int:
    """Let schemathesis ask with all its checks; how many requests it made up."""
    described = folder / "openapi.json"
    described.write_text(document(url), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(described)]
    command += ["--url", url]
    command += ["--checks", "all", "--mode", "all"]
    command += ["--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"]
    command += ["--request-timeout", "120", "--max-response-time", "120"]  # seconds: the machine may be busy
    command += ["--suppress-health-check", "all", *(["--seed", "1"] if IN_CI else []), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-20_000:]
    found = re.search(r"(\d+) generated, (\d+) passed", said)
    assert found is not None, said[-20_000:]
    return int(found[1])


def test_anyone_may_ask_anything(tmp_path: Path) -> None:
    """Without tokens no request fails a check: not one is a server's error, and every response is as documented."""
    with ServerProcess(tmp_path / "data", max_steps=LARGEST) as server:
        asked = check(server.url, tmp_path, "--phases", "examples,fuzzing", "--max-examples", str(cases(2)))
        assert server.stop() == (0, "")
    print(f"{asked} requests")


def test_the_owner_of_a_token_may_ask_anything(tmp_path: Path) -> None:
    """The same for many requests where tokens are required; without the token, or with a wrong one, all are refused."""
    token = _token(tmp_path / "data")
    options = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(cases(10))]
    with ServerProcess(tmp_path / "data", max_steps=LARGEST, require_tokens=True) as server:
        asked = check(server.url, tmp_path, *options, "--header", f"Authorization: Bearer {token}")
        status, errors = server.stop()
    print(f"{asked} requests")
    assert asked >= FEWEST
    assert (status, token in errors) == (0, False)


def _token(folder: Path) -> str:
    command = [sys.executable, "-m", "service", "token", "create", "tester", "--scope", "admin"]
    done = subprocess.run([*command, "--data-dir", str(folder)], capture_output=True, text=True, check=True)
    found = re.search(r"lrt_\w+", done.stdout)
    assert found is not None, done.stdout
    return found[0]
