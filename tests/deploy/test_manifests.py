"""The manifests of deploy/ name what exists, and fit the server and each other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from service.app import create_app, open_server
from service.settings import Settings
from tests.support.servers.deployment import DEPLOY

HTTP_PORT = 8000  # in a container


def documents(*names: str) -> list[dict[str, Any]]:
    """Every document of these files."""
    return [one for name in names for one in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8"))]


COMPOSE: dict[str, Any] = documents("compose.yaml")[0]
KUBERNETES = documents(*(f"kubernetes/{name}.yaml" for name in ("server", "nginx", "ingress", "secret")))


def find(kind: str, name: str) -> dict[str, Any]:
    """The Kubernetes object of this kind and name."""
    [found] = [one for one in KUBERNETES if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def container(name: str) -> dict[str, Any]:
    """The one container of a Deployment."""
    [only] = find("Deployment", name)["spec"]["template"]["spec"]["containers"]
    return dict(only)


def variables() -> dict[str, dict[str, str]]:
    """The variables that each way of deploying gives to the servers."""
    kubernetes = {**find("ConfigMap", "lrtables")["data"], **find("Secret", "lrtables")["stringData"]}
    return {"compose": COMPOSE["services"]["server-1"]["environment"], "kubernetes": kubernetes}


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_servers_understand_their_variables(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is a setting with a value that it takes, or one of the store's own."""
    given = variables()[where]
    ours = {name for name in given if name.startswith("LRTABLES_")}
    assert {name.removeprefix("LRTABLES_").lower() for name in ours} <= set(Settings.model_fields)
    assert all(name.startswith("AWS_") for name in set(given) - ours)
    for name, value in given.items():
        monkeypatch.setenv(name, re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1", value))
    settings = Settings(host="0.0.0.0")
    assert settings.store_url == "s3://lrtables/tables"
    assert settings.requires_tokens


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_nginx_knows_the_servers(where: str) -> None:
    """Where nginx passes requests on is where servers listen, and where it listens is what is published."""
    upstreams = (DEPLOY / where / "upstreams.conf").read_text(encoding="utf-8")
    names = set(COMPOSE["services"]) if where == "compose" else {find("Service", "lrtables")["metadata"]["name"]}
    found = re.findall(r"^server ([\w-]+):(\d+) max_fails=\d+ fail_timeout=(\d+)s;$", upstreams, re.MULTILINE)
    assert len(found) == 2
    assert {name for name, _, _ in found} <= names
    assert {int(port) for _, port, _ in found} == {HTTP_PORT}
    [listen] = re.findall(
        r"^listen (\d+);$", (DEPLOY / where / "listen.conf").read_text(encoding="utf-8"), re.MULTILINE
    )
    ports = [str(one["containerPort"]) for one in container("lrtables-nginx")["ports"]]
    assert listen in (ports if where == "kubernetes" else COMPOSE["services"]["nginx"]["ports"][0].split(":")[-1:])


def test_every_image_has_a_version() -> None:
    """Each image that is not ours has a version, the same one in both; ours is built here, or named once for all."""
    images = {name: service["image"] for name, service in COMPOSE["services"].items()}
    assert {images.pop("server-1"), images.pop("server-2"), container("lrtables")["image"]} == {"lrtables"}
    assert [image for image in images.values() if not re.fullmatch(r"[\w/-]+:\d+(\.\d+)*", image)] == []
    assert images["nginx"] == container("lrtables-nginx")["image"]
    [renamed] = documents("kustomization.yaml")[0]["images"]
    assert renamed["name"] == "lrtables"


def test_no_variable_of_the_cluster_is_taken_for_a_setting() -> None:
    """The Service called lrtables sets LRTABLES_PORT in every pod that does not refuse it, the page's own one too."""
    [overrides] = re.findall(r"--overrides='(.*?)'", (DEPLOY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    pods = [json.loads(overrides)["spec"], find("Deployment", "lrtables")["spec"]["template"]["spec"]]
    assert [pod["enableServiceLinks"] for pod in pods] == [False, False]


def test_compose_files_exist() -> None:
    """Every file that compose mounts or builds from is there."""
    mounts = [volume.split(":")[0] for volume in COMPOSE["services"]["nginx"]["volumes"]]
    assert [path for path in mounts if path.startswith("./") and not (DEPLOY / path).is_file()] == []
    assert (DEPLOY / COMPOSE["services"]["server-1"]["build"] / "Dockerfile").is_file()


def test_kustomization_files_exist() -> None:
    """Everything that is applied is there; the template of secrets is not applied."""
    [kustomization] = documents("kustomization.yaml")
    [generated] = kustomization["configMapGenerator"]
    files = [*kustomization["resources"], *generated["files"]]
    assert [name for name in files if not (DEPLOY / name).is_file()] == []
    assert "kubernetes/secret.yaml" not in files
    mounted = {mount["subPath"] for mount in container("lrtables-nginx")["volumeMounts"] if "subPath" in mount}
    assert mounted == {Path(name).name for name in generated["files"]}


def test_probes_ask_for_what_exists(tmp_path: Path) -> None:
    """Each probe's path is in the OpenAPI document, on the server's port, and open to who has no token."""
    server = container("lrtables")
    probes = [server[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    application = create_app(open_server(Settings(data_dir=tmp_path, require_tokens=True)))
    with TestClient(application) as client:
        known = client.get("/v1/openapi.json").json()["paths"]
        assert [client.get(probe["path"]).status_code for probe in probes] == [200, 200, 200]
    assert {probe["path"] for probe in probes} <= set(known)
    assert server["ports"] == [{"name": "http", "containerPort": HTTP_PORT}]
    assert {probe["port"] for probe in probes} == {"http"}


def test_a_server_may_finish_its_requests() -> None:
    """A server is not killed before its time to drain is over."""
    pod = find("Deployment", "lrtables")["spec"]["template"]["spec"]
    prestop = int(container("lrtables")["lifecycle"]["preStop"]["exec"]["command"][-1])
    drain = float(find("ConfigMap", "lrtables")["data"]["LRTABLES_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > prestop + drain
    assert int(COMPOSE["services"]["server-1"]["stop_grace_period"].rstrip("s")) > Settings().drain_seconds


def test_one_server_is_in_use_before_the_next_one_goes() -> None:
    """A rollout takes no server away, and waits longer for the next step than nginx shuns a server that failed."""
    spec = find("Deployment", "lrtables")["spec"]
    upstreams = (DEPLOY / "kubernetes" / "upstreams.conf").read_text(encoding="utf-8")
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["minReadySeconds"] > max(map(int, re.findall(r"fail_timeout=(\d+)s", upstreams)))
    for name in ("lrtables", "lrtables-nginx"):
        selector = find("Deployment", name)["spec"]["selector"]
        assert find("PodDisruptionBudget", name)["spec"]["selector"] == selector
        assert find("Service", name)["spec"]["selector"] == selector["matchLabels"]


@pytest.mark.parametrize("name", ["lrtables", "lrtables-nginx"])
def test_a_pod_may_do_little(name: str) -> None:
    """No root, no privileges, no account of the cluster, nothing writable but its volumes, and bounded memory."""
    pod, only = find("Deployment", name)["spec"]["template"]["spec"], container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert only["securityContext"]["allowPrivilegeEscalation"] is False
    assert only["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in only["resources"]["limits"]


def test_the_limits_of_nginx_are_above_the_servers() -> None:
    """nginx refuses no body, and gives up no computation, that a server with default settings would take."""
    text = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    small, *tables = (int(size) * 2**20 for size in re.findall(r"client_max_body_size (\d+)m;", text))
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s;", text)
    settings = Settings()
    assert small > settings.max_body_bytes
    assert min(tables) > settings.max_table_bytes + 2**20
    assert float(seconds) > settings.compute_seconds
