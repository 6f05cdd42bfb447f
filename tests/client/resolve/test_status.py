"""Whether the service is there, and what a client has done."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client import Client, ClientError
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer


def test_a_service_that_is_there_says_what_it_is(service_url: str) -> None:
    """The status of a real service has its version and the scopes of the token."""
    with Client(service_url) as client:
        status = client.status()
    assert (status.url, status.reachable, status.error) == (service_url, True, "")
    assert status.version
    assert {"read", "compute"} <= set(status.scopes)


def test_a_service_that_is_away_is_told_at_once(free_port: int) -> None:
    """An unreachable service is a status with the reason, after one attempt."""
    with Client(f"http://127.0.0.1:{free_port}") as client:
        status = client.status()
        assert (status.reachable, status.version, status.scopes) == (False, None, ())
        assert "refused" in status.error
        assert client.stats().retries == 0


def test_a_token_that_is_refused_is_told(scripted: ScriptedServer, response: type[Response]) -> None:
    """A service that answers, but not to this token, is reachable."""
    scripted.script = lambda seen: response(200 if seen.path == "/livez" else 401)
    with Client(scripted.url, token="lrt_x") as client:
        status = client.status()
    assert status.reachable
    assert "the token that was sent is not valid there" in status.error


def test_a_cache_that_does_not_work_is_told(service_url: str, tmp_path: Path) -> None:
    """A client with a broken cache folder works, and its stats say what is wrong."""
    (tmp_path / "cache").write_bytes(b"")
    with Client(service_url, cache=tmp_path / "cache") as client:
        client.fetch(WarmupWithDecay(5e-4, 100, 1000))
        stats = client.stats()
    assert stats.cache_folder == str(tmp_path / "cache")
    assert stats.cache_failures
    assert "cache" in stats.cache_error
    assert Client(service_url).stats().cache_folder is None


class Heavy:
    """Stands for a tensor in a frame that makes a call."""


def test_a_failed_call_keeps_nothing_alive(free_port: int) -> None:
    """What a frame held that made a failing call is gone with the error, without a garbage collection."""
    client = Client(f"http://127.0.0.1:{free_port}", refused_patience=0.3)

    def fail() -> weakref.ref[Heavy]:
        heavy = Heavy()
        try:
            client.get("0" * 64)
        except ClientError:
            return weakref.ref(heavy)
        raise AssertionError("it did not fail")

    gc.collect()
    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()
    client.close()


@pytest.mark.parametrize("seconds", [0, -1.0, "1"])
def test_patience_is_positive(seconds: float) -> None:
    """A patience that is no positive number is refused by name and value."""
    with pytest.raises(ValueError, match=f"refused_patience must be a positive number of seconds, got {seconds!r}"):
        Client("http://127.0.0.1:9", refused_patience=seconds)
