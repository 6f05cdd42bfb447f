"""Which route an address belongs to."""

import pytest
from starlette.testclient import TestClient

from service.representations.paths import OTHER, route_of

DIGEST = "ab" * 32


def test_every_route_has_a_name(client: TestClient) -> None:
    """Each route of the OpenAPI document is known by the name that it has there."""
    paths = list(client.get("/v1/openapi.json").json()["paths"])
    values = {"digest": DIGEST, "kind": "torch.StepLR", "scope": "read"}
    addresses = [path.format_map(values) for path in paths]
    assert [route_of(address) for address in addresses] == paths


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/v1/openapi.json"])
def test_what_is_in_no_document_has_a_name(path: str) -> None:
    """Health, metrics and documentation are known too."""
    assert route_of(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/favicon.ico",
        "/v1",
        "/v2/tables",
        "/v1/tablesandmore",
        f"/v1/tables/{DIGEST}.exe",
        f"/v1/tables/{DIGEST}/values/0",
        f"/v1/tables/{DIGEST}{DIGEST}",
        "/livez/",
    ],
)
def test_there_is_one_name_for_all_others(path: str) -> None:
    """Whatever clients ask for, there are no more names than routes."""
    assert route_of(path) == OTHER


def test_a_digest_that_is_none_is_still_a_table(client: TestClient) -> None:
    """An address that the router takes for a table's is named so, whatever its digest looks like."""
    assert client.get("/v1/tables/abc").status_code == 422
    assert route_of("/v1/tables/abc") == "/v1/tables/{digest}"
