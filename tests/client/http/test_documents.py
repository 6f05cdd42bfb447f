"""JSON documents that the service sends with their SHA-256."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from client.errors import ServiceUnreachableError
from client.http.transport import Transport

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer

JSON = {"Content-Type": "application/json"}


def digest_of(body: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}


def fetched(url: str, deadline: float) -> bytes:
    transport = Transport(url, timeout=10.0)
    try:
        return bytes(transport.request("GET", "/x", deadline=time.monotonic() + deadline, max_bytes=100))
    finally:
        transport.close()


def test_a_document_that_was_changed_on_its_way_is_fetched_again(
    scripted: ScriptedServer, response: type[Response]
) -> None:
    """A JSON document without the SHA-256 of its Repr-Digest is not taken; the next one, which has it, is."""
    right = b'{"version": 3}'
    answers = [response(body=body, headers={**JSON, **digest_of(right)}) for body in (b'{"version": 2}', right)]
    scripted.script = lambda _: answers.pop(0)
    assert fetched(scripted.url, 30.0) == right
    assert answers == []


def test_a_document_that_is_always_changed_is_a_named_error(scripted: ScriptedServer, response: type[Response]) -> None:
    """Where no attempt gives the right bytes, the error says that they are changed on their way."""
    scripted.script = lambda _: response(body=b"{}", headers={**JSON, **digest_of(b"[]")})
    with pytest.raises(ServiceUnreachableError, match="the response was changed on its way"):
        fetched(scripted.url, 0.3)


@pytest.mark.parametrize(
    "headers", [{}, JSON, digest_of(b"[]"), {**JSON, "Repr-Digest": "md5=:aa==:"}, {**JSON, "Repr-Digest": "sha-256"}]
)
def test_what_is_no_document_or_has_no_digest_is_taken(
    scripted: ScriptedServer, response: type[Response], headers: dict[str, str]
) -> None:
    """Without a SHA-256 there is nothing to compare; a table's bytes are compared with its own digest instead."""
    scripted.script = lambda _: response(body=b"{}", headers=headers)
    assert fetched(scripted.url, 30.0) == b"{}"
