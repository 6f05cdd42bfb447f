"""The tree of the client's errors, and what a refusal says."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Any

import pytest

import client
from client import (
    AmendmentRefusedError,
    ClientError,
    FieldError,
    NotAllowedError,
    RequestRefusedError,
    RunChangedError,
    RunLockedError,
    RunNotFoundError,
)
from client.errors import run_error

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


def test_every_error_says_what_to_do_next() -> None:
    """Each class has an advice of its own, which a traceback shows below the message, also after pickling."""
    kinds = subclasses(ClientError)
    assert all(kind.advice.endswith(".") for kind in kinds)
    assert len({kind.advice for kind in kinds}) == len(kinds)
    error = pickle.loads(pickle.dumps(client.OfflineError("offline: nothing was found")))
    assert str(error) == "offline: nothing was found"
    assert traceback.format_exception_only(error)[-1].strip() == client.OfflineError.advice


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


# -- refusals about runs ----------------------------------------------------------------------------------------------

CURRENT = {"namespace": "team-a", "name": "bert", "version": 4, "action": "amend", "author": "ada"}


def refused_run(status: int, code: str, **members: Any) -> RequestRefusedError:
    body = json.dumps({"detail": "no", "code": code, **members}).encode()
    return run_error("http://h/v1/runs/team-a/bert", status, body)


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (404, "run-not-found", RunNotFoundError, "'lrtables run list' shows the runs"),
        (410, "run-deleted", RunNotFoundError, "its versions can still be read"),
        (412, "precondition-failed", RunChangedError, "decide whether your change still holds"),
        (423, "run-locked", RunLockedError, "lrtables run unlock NAME"),
        (409, "amendment-refused", AmendmentRefusedError, "dry_run=True"),
        (422, "guard-rail", AmendmentRefusedError, "dry_run=True"),
        (409, "proposal-outdated", AmendmentRefusedError, "the run has changed since the proposal was made"),
    ],
)
def test_a_refusal_about_a_run_says_what_to_do(
    status: int, code: str, kind: type[RequestRefusedError], advice: str
) -> None:
    """Each has a class of its own, the service's reason and the next step; all can be pickled."""
    error = refused_run(status, code)
    assert type(error) is kind
    assert str(error).startswith(f"http://h/v1/runs/team-a/bert answered {status}: no\n")
    assert advice in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))


@pytest.mark.parametrize(("status", "code"), [(404, "no-such-route"), (422, "invalid-request"), (500, "run-locked")])
def test_another_refusal_stays_what_it_is(status: int, code: str) -> None:
    """Only the codes of runs have classes of their own."""
    assert type(refused_run(status, code)) is RequestRefusedError


def test_a_changed_run_tells_where_it_is() -> None:
    """The current version, who made it, and the difference, for programs and in the message."""
    difference = {"first_step": 7, "columns": {"lr": [0.1, 0.2]}, "text": "lr of step 7 is 0.1 there and 0.2 here"}
    error = refused_run(412, "precondition-failed", current=CURRENT, difference=difference)
    assert isinstance(error, RunChangedError)
    assert (error.current, error.difference) == (CURRENT, difference)
    assert "it is at version 4 (amend by ada)\n  lr of step 7 is 0.1 there and 0.2 here\n" in str(error)


@pytest.mark.parametrize("value", [None, 3, "text", [], {"version": "x", "text": 3}])
def test_malformed_members_are_left_out(value: Any) -> None:
    """What a service sends in the wrong shape is no second error."""
    changed = refused_run(412, "precondition-failed", current=value, difference=value)
    refused = refused_run(409, "amendment-refused", refusals=value)
    assert isinstance(refused, AmendmentRefusedError)
    assert refused.refusals == ("no",)
    assert "no" in str(changed)


def test_every_broken_rule_is_told() -> None:
    """A change may break several rules at once; each is a line."""
    error = refused_run(422, "guard-rail", refusals=["max_lr is 0.5, got 1", {"rule": "max_factor", "detail": "x 3"}])
    assert isinstance(error, AmendmentRefusedError)
    assert error.refusals == ("max_lr is 0.5, got 1", "x 3")
    assert "\n  max_lr is 0.5, got 1\n  x 3\n" in str(error)
