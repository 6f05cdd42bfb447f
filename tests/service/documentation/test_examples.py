"""The examples of the documentation."""

import json
from pathlib import Path

import pytest

from service.documentation.examples import ERROR, FILE, recorded_responses
from service.workers.pool import Workers
from tests.service.golden import EXAMPLES_BY_NAME, error, fresh_client, responses_to


@pytest.mark.parametrize("name", EXAMPLES_BY_NAME)
def test_an_example_is_what_happens(tmp_path: Path, workers: Workers, name: str) -> None:
    """A server's responses are those recorded for a route's example; `python -m tests.service.golden` records them."""
    with fresh_client(tmp_path, workers) as client:
        assert responses_to(name, EXAMPLES_BY_NAME[name], client) == recorded_responses(name)


def test_the_example_of_an_error_is_what_happens(tmp_path: Path, workers: Workers) -> None:
    """The same of the error."""
    with fresh_client(tmp_path, workers) as client:
        assert error(client) == recorded_responses(ERROR)


def test_nothing_else_is_recorded() -> None:
    """The file has responses only to declared examples, and none to those of removed routes."""
    with_responses = {name for name, example in EXAMPLES_BY_NAME.items() if example.responses}
    assert set(json.loads(FILE.read_bytes())) == {*with_responses, ERROR}
