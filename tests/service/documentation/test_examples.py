"""The examples of the documentation."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.documentation.examples import FILE, examples
from tests.service.golden import fresh_client, recorded

DATA: dict[str, Any] = json.loads(FILE.read_bytes())
SPEC = DATA["routes"]["post /v1/tables"]["body"]


@pytest.mark.parametrize("route", examples().routes)
def test_an_example_is_what_happens(tmp_path: Path, route: str) -> None:
    """A server answers what the example shows; `python -m tests.service.golden` writes that anew."""
    with fresh_client(tmp_path) as client:
        assert recorded(route, DATA["routes"][route], SPEC, client) == DATA["routes"][route]


def test_the_example_of_an_error_is_what_happens(tmp_path: Path) -> None:
    """The same of the error."""
    with fresh_client(tmp_path) as client:
        assert recorded("post /v1/tables", DATA["error"], SPEC, client) == DATA["error"]
