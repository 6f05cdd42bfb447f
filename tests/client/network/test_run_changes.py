"""Runs behind a proxy that fails: their documents arrive unchanged, and a change whose answer is lost is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import Client, ClientError
from client.runs.documents import Run
from scheduler.custom import WarmupWithDecay
from tests.support.client.watchdog import ending
from tests.support.servers import fault_profiles as faults
from tests.support.servers.fault_proxy import FaultProxy, Profile
from tests.support.servers.process import ServerProcess

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)
COOLDOWN = {"template": "cooldown", "from_step": 600, "length": 200}
numbers = count()

LOSING = {
    "reset": faults.reset(0),
    "reset within": faults.reset(150),
    "half-open": faults.half_open(delivers=True),
    "never arrived": faults.half_open(delivers=False),
    "black hole": faults.black_hole(),
    "truncated": faults.truncated(0.5),
    "wrong length": faults.wrong_length(40),
    "corrupt byte": faults.corrupt_byte(0.2),
}
"""Each way to lose an answer: after the server has done what it was asked for, or before it was asked."""

CHANGES: dict[str, Callable[[Client, Run], Run]] = {
    "amend": lambda client, run: client.amend(run, COOLDOWN, reason="why"),
    "move": lambda client, run: client.move_run(run, WarmupWithDecay(1e-3, 100, 1000), reason="why"),
    "delete": lambda client, run: client.delete_run(run),
}
"""Each change of a run, all of which make version 2 of a run at version 1."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file's own, which makes runs."""
    with ServerProcess(tmp_path_factory.mktemp("runs") / "data") as running:
        yield running


def new_run(server: ServerProcess) -> Run:
    """A run at version 1."""
    with Client(server.url) as client:
        return client.create_run(f"team/run-{next(numbers)}", SCHEDULE, reason="first", labels={"team": "a"})


def facts(run: Run) -> tuple[str, str, str | None]:
    return run.action, run.digest, run.reason


def changed(server: ServerProcess, run: Run, change: str, profile: Profile, first: int | None) -> Run | ClientError:
    """How a change ends behind a proxy that fails like this."""

    def call() -> Run | ClientError:
        with Client(proxy.url, timeout=0.5, deadline=1.5 if first is None else 30.0) as client:
            try:
                return CHANGES[change](client, run)
            except ClientError as error:
                return error

    with FaultProxy(server.port) as proxy, proxy.faulty(profile, first):
        return ending(call)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_whose_answer_is_lost_is_made_once(server: ServerProcess, change: str) -> None:
    """However the first answer is lost, the call returns the version that it made, and there is no second one."""
    runs = {name: new_run(server) for name in LOSING}
    with ThreadPoolExecutor(len(LOSING)) as pool:
        ends = dict(zip(runs, pool.map(lambda n: changed(server, runs[n], change, LOSING[n], 1), runs), strict=True))
    with Client(server.url) as client:
        for name, run in runs.items():
            first, second = client.run_versions(run.full_name)
            assert (first.version, first.action) == (1, "create"), name
            assert second.version == 2, name
            end = ends[name]
            assert isinstance(end, Run), (name, end)
            assert (end.version, end.action, end.digest, end.reason) == (2, *facts(second)), name
            assert (end.labels, end.locked, end.deleted) == ({"team": "a"}, False, change == "delete"), name


@pytest.mark.parametrize("name", LOSING)
def test_a_change_of_which_every_answer_is_lost_is_never_made_twice(server: ServerProcess, name: str) -> None:
    """While every connection fails, a change ends in a named error; the run has one version more, or none."""
    run = new_run(server)
    end = changed(server, run, "amend", LOSING[name], None)
    assert isinstance(end, ClientError)
    with Client(server.url) as client:
        assert [each.action for each in client.run_versions(run.full_name)] in (["create"], ["create", "amend"])


SHARES = st.floats(0.0, 1.0, exclude_max=True)
RANDOM_PROFILES = st.one_of(
    st.builds(faults.slow, st.floats(2e3, 1e6)),
    st.builds(faults.lossy, st.floats(0.0, 0.1), share=SHARES, seed=st.integers(0, 2**32)),
    st.builds(faults.reset, st.integers(0, 1500)),
    st.builds(faults.truncated, SHARES),
    st.builds(faults.wrong_length, st.integers(-800, -1), st.booleans()),
    st.builds(faults.corrupt_byte, SHARES, st.integers(1, 255)),
    st.builds(faults.captive_portal, st.sampled_from([200, 302, 502, 503, 504])),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(profile=RANDOM_PROFILES, first=st.sampled_from([None, 1]))
def test_no_failure_gives_a_wrong_document(server: ServerProcess, profile: Profile, first: int | None) -> None:
    """Wherever a run's document is cut, changed or replaced, reading it gives the right one or a named error."""
    right = new_run(server)

    def read() -> Run | ClientError:
        with Client(proxy.url, timeout=0.3, deadline=0.8) as client:
            try:
                return client.run(right.full_name)
            except ClientError as error:
                return error

    with FaultProxy(server.port) as proxy, proxy.faulty(profile, first):
        end = ending(read)
    assert isinstance(end, ClientError) or replace(end, age_seconds=0.0) == right
