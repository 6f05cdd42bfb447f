"""The examples of the documentation."""

import json
from pathlib import Path

import pytest

from service.documentation.examples import ERROR, FILE, answers_to
from tests.service.golden import EXAMPLES_BY_NAME, answers, error, fresh_client


@pytest.mark.parametrize("name", EXAMPLES_BY_NAME)
def test_an_example_is_what_happens(tmp_path: Path, name: str) -> None:
    """A server answers what is recorded of a route's example; `python -m tests.service.golden` records it anew."""
    with fresh_client(tmp_path) as client:
        assert answers(name, EXAMPLES_BY_NAME[name], client) == answers_to(name)


def test_the_example_of_an_error_is_what_happens(tmp_path: Path) -> None:
    """The same of the error."""
    with fresh_client(tmp_path) as client:
        assert error(client) == answers_to(ERROR)


def test_nothing_else_is_recorded() -> None:
    """The file holds answers of declared examples only: none is left of a route that is gone."""
    answered = {name for name, example in EXAMPLES_BY_NAME.items() if example.answers}
    assert set(json.loads(FILE.read_bytes())) == {*answered, ERROR}
