"""The tree of the client's errors, and what a refusal says."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

import client
from client import ClientError, FieldError, NotAllowedError, RequestRefusedError

PROBLEM = {
    "title": "Unprocessable Entity",
    "detail": "2 fields are wrong",
    "code": "invalid-request",
    "errors": [
        {"pointer": "/schedule/base_lr", "detail": "base_lr must be >= 0, got -1", "value": -1},
        {"pointer": "", "detail": "no"},
    ],
    "request_id": "abc",
    "retryable": False,
}


def refused(problem: Any, status: int = 422) -> RequestRefusedError:
    return RequestRefusedError("http://h/v1/tables", status, json.dumps(problem).encode())


def subclasses(kind: type[ClientError]) -> list[type[ClientError]]:
    return [each for child in kind.__subclasses__() for each in (child, *subclasses(child))]


def test_every_error_is_in_the_tree_at_the_top() -> None:
    """The drawing in the module names every error that there is, and its builtin base."""
    drawing = client.errors.__doc__ or ""
    for kind in subclasses(ClientError):
        line = next(line for line in drawing.splitlines() if kind.__name__ in line)
        builtins = [base.__name__ for base in kind.__bases__ if not issubclass(base, ClientError)]
        assert all(f"({name})" in line for name in builtins)


def test_exports_are_sorted_and_complete() -> None:
    """`client.__all__` is sorted, and has every error."""
    assert sorted(client.__all__) == client.__all__
    assert {kind.__name__ for kind in subclasses(ClientError)} <= set(client.__all__)
    assert all(hasattr(client, name) for name in client.__all__)


def test_a_refusal_carries_the_service_s_own_words() -> None:
    """Status, code, request and every field's error can be read by programs and in the message."""
    error = refused(PROBLEM)
    assert (error.status, error.code, error.request_id) == (422, "invalid-request", "abc")
    assert error.errors == (
        FieldError("/schedule/base_lr", "base_lr must be >= 0, got -1", -1),
        FieldError("", "no"),
    )
    assert str(error) == (
        "http://h/v1/tables answered 422: 2 fields are wrong\n"
        "  /schedule/base_lr: base_lr must be >= 0, got -1\n"
        "  /: no\n"
        "  request abc"
    )


@pytest.mark.parametrize("problem", [[], "text", 3, None, {}, {"errors": "text"}, {"title": None}], ids=str)
def test_a_refusal_without_a_problem_document_is_still_one(problem: Any) -> None:
    """A response from something else, such as a proxy, loses the reason and nothing more."""
    error = refused(problem, status=502)
    assert str(error) == "http://h/v1/tables answered 502: no reason given"
    assert error.errors == ()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_no_problem(body: bytes) -> None:
    """A body that cannot be read as JSON is taken as no reason given."""
    assert RequestRefusedError("u", 500, body).problem == {}


def test_field_errors_of_another_shape_are_kept() -> None:
    """A field error that is not an object is kept as text."""
    assert refused({"errors": ["odd"]}).errors == (FieldError("", "odd"),)


def test_a_refusal_can_be_pickled() -> None:
    """Errors travel between processes, as data loaders and launchers send them."""
    error = pickle.loads(pickle.dumps(refused(PROBLEM)))
    assert str(error) == str(refused(PROBLEM))


@pytest.mark.parametrize(
    ("status", "with_token", "advice"),
    [
        pytest.param(401, False, "no token was sent: set LRTABLES_TOKEN, or say Client(url, token=...)", id="none"),
        pytest.param(401, True, "the token that was sent is not valid there, or not any more", id="invalid"),
        pytest.param(403, True, "the token that was sent does not allow this", id="too-little"),
    ],
)
def test_a_refused_token_says_what_to_do(status: int, with_token: bool, advice: str) -> None:
    """A 401 or 403 carries the service's reason, and says what the user can do and who can help."""
    error = NotAllowedError("http://h/v1/tables", status, json.dumps(PROBLEM).encode(), with_token)
    first, *_, last = str(error).splitlines()
    assert first == f"http://h/v1/tables answered {status}: 2 fields are wrong"
    assert last == f"  {advice}; whoever runs the service makes one: lrtables token create NAME --scope SCOPE"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.status, again.with_token) == (str(error), status, with_token)
