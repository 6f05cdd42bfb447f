"""The client behind a proxy that fails in named ways: the right table, or the named error, in time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import (
    Client,
    ClientError,
    DeadlineExceededError,
    DigestMismatchError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from scheduler import Table
from scheduler.custom import WarmupWithDecay
from tests.support.campaign import cases
from tests.support.client.watchdog import ending
from tests.support.servers import fault_profiles as faults
from tests.support.servers.fault_proxy import FaultProxy, Profile
from tests.support.servers.process import ServerProcess

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)
RIGHT = SCHEDULE.table(1000)

CALLS: dict[str, tuple[Callable[[Client], Table], bool]] = {
    "receive": (lambda client: client.fetch(SCHEDULE, on_unreachable="error"), False),
    "compute": (lambda client: client.fetch(SCHEDULE, on_unreachable="error"), True),
    "get": (lambda client: client.get(RIGHT.digest), True),
}
"""The calls that get the table, and whether the client may compute it where the service names its digest."""

ENDS: dict[str, tuple[type[ClientError], ...]] = {
    "faithful": (),
    "slow": (),
    "lossy": (),
    "reset": (ServiceUnreachableError,),
    "black hole": (DeadlineExceededError,),
    "half-open": (DeadlineExceededError,),
    "truncated": (ServiceUnreachableError,),
    "wrong length": (DeadlineExceededError,),
    "200 for a range": (),
    "corrupt byte": (DigestMismatchError, UnexpectedResponseError),
    "HTML 200": (UnexpectedResponseError,),
    "HTML 302": (RequestRefusedError,),
    "refused": (ServiceUnreachableError,),
}
"""The errors that a call may end in while every connection fails like this; none where it must succeed all the same."""

PASSING = ("slow", "lossy", "reset", "black hole", "half-open", "truncated", "wrong length", "200 for a range")
"""The profiles that a next attempt overcomes."""


@pytest.fixture(scope="module")
def port(shared_server: ServerProcess) -> int:
    """The port of a server that has the table."""
    with Client(shared_server.url) as client:
        assert client.fetch(SCHEDULE) == RIGHT
    return shared_server.port


def outcome(proxy: FaultProxy, call: str, *, timeout: float, deadline: float) -> Table | ClientError:
    """The table or the error that a call ends with; anything else that it raises passes, and so does a hang."""

    get, may_compute = CALLS[call]

    def run(folder: str) -> Table | ClientError:
        with Client(proxy.url, timeout=timeout, deadline=deadline, cache=folder, compute=may_compute) as client:
            try:
                return get(client)
            except ClientError as error:
                return error

    with TemporaryDirectory() as folder:
        end = ending(lambda: run(folder))
        check_cache(Path(folder))
        return end


def check_cache(folder: Path) -> None:
    """All that a call leaves in the cache is the right table, its mark and its spec: no part, nothing set aside."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    tables = [path for path in files if path.suffix == ".safetensors"]
    assert tables in ([], [Path("tables", f"{RIGHT.digest}.safetensors")])
    assert all(Table.from_bytes((folder / path).read_bytes()) == RIGHT for path in tables)
    others = [path for path in files if path not in tables and path.suffix != ".mark" and path.parts[0] != "specs"]
    assert others == []
    assert [path for path in files if path.name.endswith(".tmp")] == []


def under(port: int, profile: Profile, call: str, first: int | None, deadline: float) -> Table | ClientError:
    """How a call ends behind a proxy of its own that fails like this."""
    with FaultProxy(port) as proxy, proxy.faulty(profile, first):
        return outcome(proxy, call, timeout=0.3, deadline=deadline)


@pytest.mark.parametrize("call", CALLS)
def test_every_failing_network_ends_a_call_with_the_table_or_the_named_error(port: int, call: str) -> None:
    """While every connection fails, a call ends in time, with the right table or the error that names the failure."""
    with ThreadPoolExecutor(len(ENDS)) as pool:
        ends = dict(
            zip(ENDS, pool.map(lambda name: under(port, faults.PROFILES[name], call, None, 3.0), ENDS), strict=True)
        )
    assert set(faults.PROFILES) == set(ENDS)
    assert {name: end for name, end in ends.items() if not ENDS[name] and end != RIGHT} == {}
    assert {name: end for name, end in ends.items() if end != RIGHT and not isinstance(end, ENDS[name])} == {}


@pytest.mark.parametrize("call", CALLS)
def test_a_failure_that_passes_costs_an_attempt_and_not_the_call(port: int, call: str) -> None:
    """Where only the first two connections fail, the right table comes within the deadline."""
    with ThreadPoolExecutor(len(PASSING)) as pool:
        ends = pool.map(lambda name: under(port, faults.PROFILES[name], call, 2, 30.0), PASSING)
        assert {name: end for name, end in zip(PASSING, ends, strict=True) if end != RIGHT} == {}


def test_a_byte_that_turned_on_the_way_costs_an_attempt(port: int) -> None:
    """Where only the first connection changes a byte of the table, the table is asked for again on a new one."""
    assert under(port, faults.PROFILES["corrupt byte"], "get", 1, 30.0) == RIGHT


def test_a_service_that_was_away_is_reached_when_it_is_back(port: int) -> None:
    """A call that began while connections were refused ends with the table once they are not."""
    with FaultProxy(port) as proxy, ThreadPoolExecutor(1) as pool:
        with proxy.faulty(faults.REFUSED):
            call = pool.submit(outcome, proxy, "receive", timeout=1.0, deadline=30.0)
            with pytest.raises(TimeoutError, match=r"^$"):
                call.result(0.5)
        assert call.result() == RIGHT


SHARES = st.floats(0.0, 1.0, exclude_max=True)
RANDOM_PROFILES = st.one_of(
    st.builds(faults.slow, st.floats(1e3, 1e6)),
    st.builds(faults.lossy, st.floats(0.0, 0.2), share=SHARES, seed=st.integers(0, 2**32)),
    st.builds(faults.reset, st.integers(0, 10_000)),
    st.builds(faults.half_open, st.booleans()),
    st.builds(faults.truncated, SHARES),
    st.builds(faults.wrong_length, st.integers(-10_000, 10_000).filter(bool), st.booleans()),
    st.builds(faults.corrupt_byte, SHARES, st.integers(1, 255)),
    st.builds(faults.captive_portal, st.sampled_from([200, 302, 502, 503, 504])),
    st.builds(faults.black_hole),
)
"""Each profile but the two without parameters, anywhere in its range."""


@pytest.mark.slow
@settings(max_examples=cases(30))
@given(profile=RANDOM_PROFILES, call=st.sampled_from(sorted(CALLS)), first=st.sampled_from([None, 1, 2]))
def test_no_parameters_of_a_failure_give_a_wrong_table(
    port: int, profile: Profile, call: str, first: int | None
) -> None:
    """Wherever a response is cut, changed, held up or replaced, a call ends with the right table or a named error."""
    end = under(port, profile, call, first, 0.8)
    assert isinstance(end, ClientError) or end == RIGHT
