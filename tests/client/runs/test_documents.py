"""Documents of runs are read strictly: what is no run is named, whatever a service or a proxy sends."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import UnexpectedResponseError
from client.http.responses import parse_object
from client.runs.documents import parse_change, parse_page, parse_proposal, parse_run, run_name

RUN: dict[str, Any] = {
    "namespace": "team-a",
    "name": "bert",
    "version": 3,
    "action": "amend",
    "digest": "ab" * 32,
    "spec_id": "cd" * 32,
    "spec": {"schedule": {"kind": "Constant", "value": 0.1}, "total_steps": 100},
    "total_steps": 100,
    "axis": "step",
    "stride": 1,
    "table": f"/v1/tables/{'ab' * 32}",
    "parent": 2,
    "from_step": 60,
    "amendment": {"template": "hold", "from_step": 60},
    "author": "ada",
    "reason": "the loss rose",
    "link": "https://wandb.example/runs/7",
    "created_at": "2026-11-30T16:50:04+00:00",
    "labels": {"team": "a"},
    "rules": {"max_lr": 0.5},
    "locked": True,
    "deleted": False,
    "stale": True,
    "age_seconds": 1.5,
}
PROPOSAL: dict[str, Any] = {
    "proposal": 1,
    "base_version": 3,
    "amendment": {"template": "hold", "from_step": 70},
    "state": "open",
    "author": "bob",
    "reason": None,
    "link": None,
    "created_at": "2026-11-30T16:50:04Z",
    "decided_by": None,
    "decided_at": None,
    "version": None,
}
CHANGE: dict[str, Any] = {
    "sequence": 9,
    "namespace": "team-a",
    "name": "bert",
    "version": 3,
    "action": "amend",
    "digest": "ab" * 32,
    "author": "ada",
    "created_at": "2026-11-30T16:50:04.123456+00:00",
}


def test_a_run_has_the_fields_of_its_document() -> None:
    """Every field is there by its name, with the full name and the ETag; what is unknown is left out."""
    run = parse_run({**RUN, "new_in_some_later_version": [1]})
    data = run.to_dict()
    assert data == {name: value for name, value in RUN.items() if name != "table"} | {"revision": None}
    assert (run.full_name, run.etag) == ("team-a/bert", '"v3"')


def test_a_version_needs_no_fields_of_the_head() -> None:
    """A version that never changes has no lock or labels: they are false and empty."""
    head = {"labels", "rules", "locked", "deleted", "stale", "age_seconds", "reason", "link"}
    run = parse_run({name: value for name, value in RUN.items() if name not in head})
    assert (run.labels, run.rules, run.locked, run.deleted, run.stale, run.reason) == (
        {},
        {},
        False,
        False,
        False,
        None,
    )


def test_documents_travel() -> None:
    """Runs, proposals and changes can be hashed, pickled and written as JSON, and equal what was read."""
    for document, parse in ((RUN, parse_run), (PROPOSAL, parse_proposal), (CHANGE, parse_change)):
        found: Any = parse(document)
        assert pickle.loads(pickle.dumps(found)) == found
        assert hash(found) == hash(parse(document))
        assert parse(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", "3", "version should be a valid integer, got '3'"),
        ("version", 0, "version should be greater than or equal to 1, got 0"),
        ("version", True, "version should be a valid integer, got True"),
        ("digest", "AB" * 32, "digest should match pattern"),
        ("namespace", "../etc", "namespace should match pattern"),
        ("axis", "hour", "axis should be 'step', 'epoch', 'sample' or 'token', got 'hour'"),
        ("spec", [], "spec should be "),
        ("labels", {"a": 1}, "labels.a should be a valid string, got 1"),
        ("created_at", "yesterday", "created_at is refused (Invalid isoformat string: 'yesterday'), got 'yesterday'"),
        ("locked", 1, "locked should be a valid boolean, got 1"),
        ("age_seconds", float("nan"), "age_seconds should be a finite number, got nan"),
        ("total_steps", None, "total_steps should be a valid integer, got None"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, message: str) -> None:
    """The error says which field of which service has which value."""
    with pytest.raises(UnexpectedResponseError, match=f"http://h did not answer with a run: .*{re.escape(message)}"):
        parse_run({**RUN, field: value}, "http://h")


@pytest.mark.parametrize("data", [None, [], "text", 3, {}, {"namespace": "\ud800"}], ids=repr)
@pytest.mark.parametrize("parse", [parse_run, parse_proposal, parse_change])
def test_what_is_no_document_is_refused(data: Any, parse: Any) -> None:
    """Anything else is an error of one line, with the first few problems."""
    with pytest.raises(UnexpectedResponseError, match=r"did not answer with a (run|proposal|change): ") as caught:
        parse(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_no_document_breaks_the_reader(data: st.DataObject) -> None:
    """Whatever stands in a field, the answer is a run, or the error that names it."""
    field = data.draw(st.sampled_from(sorted(RUN)))
    value = data.draw(JSON)
    try:
        found = parse_run({**RUN, field: value})
    except UnexpectedResponseError as error:
        text = str(error)
    else:
        text = field if field == "table" or json.dumps(found.to_dict()[field]) == json.dumps(value) else ""
    assert field in text or "JSON" in text


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3", b"[" * 100_000, b"\xff"])
def test_a_body_without_an_object_is_refused(body: bytes) -> None:
    """A response of something else is shown by its first bytes."""
    with pytest.raises(UnexpectedResponseError, match="http://h did not answer with a JSON object, but with b'"):
        parse_object(body, "http://h")


def test_a_page_has_a_list() -> None:
    """A page gives its documents and where the next one begins."""
    assert parse_page(b'{"runs": [1], "next": "c"}', "runs", "http://h") == ([1], "c")
    with pytest.raises(UnexpectedResponseError, match=r"http://h did not answer with a list of runs, but with b'{}'"):
        parse_page(b"{}", "runs", "http://h")


def test_a_name_has_two_parts() -> None:
    """Namespace and name are told apart by the slash."""
    assert run_name("team-a/bert.base_42") == ("team-a", "bert.base_42")


@pytest.mark.parametrize(
    "name", ["", "bert", "/bert", "a/", "a/b/c", "a/.b", "a b/c", "a/b\n", "a/" + "b" * 101, None, 3]
)
def test_another_name_is_refused(name: Any) -> None:
    """The error shows the name, and what a name is like."""
    with pytest.raises(ValueError, match=r"a run's name must be like team-a/bert-base: .*, got "):
        run_name(name)
