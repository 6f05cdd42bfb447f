"""What is set of a run, and runs that jobs create again, through the client on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from client import Client, RunChangedError
from client.runs.documents import ProgressReport
from scheduler import Spec
from scheduler.custom import WarmupWithDecay

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)
OTHER = Spec(schedule=WarmupWithDecay(6e-4, 100, 1000), total_steps=1000)
HOLD = {"template": "hold", "from_step": 600}


@pytest.fixture
def client(service_url: str, tmp_path: Path) -> Iterator[Client]:
    with Client(service_url, cache=tmp_path) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"test-{uuid4().hex}/bert"


def test_a_setting_is_made_for_what_was_looked_at(client: Client, name: str) -> None:
    """A head says its revision; what was set in between refuses a change of settings, and no change of the table."""
    created = client.create_run(name, SPEC)
    labelled = client.set_run(created, labels={"by": "anna"})
    assert (created.revision, labelled.revision, labelled.etag, labelled.exact_etag) == (0, 1, '"v1"', '"v1.1"')
    with pytest.raises(RunChangedError, match="were set again"):
        client.set_run(created, labels={"by": "ben"})
    assert client.set_run(name, locked=True).locked
    assert client.set_run(client.run(name, 1), locked=False).revision == 3  # a version says nothing of settings
    assert client.amend(created, HOLD).version == 2
    assert client.run(name).revision == 0


def test_rules_are_changed_one_by_one(client: Client, name: str) -> None:
    """Rules that are not named stay; several people who change different ones at once lose nothing."""
    client.create_run(name, SPEC, rules={"max_lr": 0.5})
    rules = client.change_rules(name, {"margin_steps": 10, "min_lr": 0.0}).rules
    assert rules == {"max_lr": 0.5, "margin_steps": 10, "min_lr": 0.0}
    assert client.change_rules(name, {"max_lr": None, "margin_steps": 20}).rules == {"margin_steps": 20, "min_lr": 0.0}
    assert client.change_rules(name, {"max_factor": 2.0}, clear=True).rules == {"max_factor": 2.0}
    changes = [{"max_lr": 0.25}, {"margin_steps": 5}, {"max_factor": None}]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda change: client.change_rules(name, change), changes))
    assert client.run(name).rules == {"max_lr": 0.25, "margin_steps": 5}


def test_the_newest_settings_are_known_offline(client: Client, name: str, tmp_path: Path) -> None:
    """The cache keeps the head that was set last, in whatever order heads are read."""
    created = client.create_run(name, SPEC)
    client.set_run(name, locked=True)
    client._kept(created, as_head=True)
    with Client(offline=True, cache=tmp_path) as offline:
        assert offline.run(name).locked


def test_a_job_that_is_started_again_uses_its_run(client: Client, name: str) -> None:
    """A run that was amended since is returned as it is; one that was created with another table is refused."""
    for _ in range(2):
        assert client.create_run(name, SPEC, if_exists="use").version == 1
    amended = client.amend(name, HOLD)
    with pytest.raises(RunChangedError, match="exists, with another table"):
        client.create_run(name, SPEC)
    found = client.create_run(name, SPEC, if_exists="use")
    assert (found.version, found.digest, found.action) == (2, amended.digest, "amend")
    with pytest.raises(RunChangedError, match=r"was created with another table \(version 1\); step 0: lr is"):
        client.create_run(name, OTHER, if_exists="use")
    client.delete_run(name)
    assert client.create_run(name, OTHER, if_exists="use").version == 4
    client.move_run(name, SPEC)
    assert client.create_run(name, OTHER, if_exists="use").version == 5
    with pytest.raises(RunChangedError, match=r"version 4"):
        client.create_run(name, Spec(schedule=WarmupWithDecay(7e-4, 100, 1000), total_steps=1000), if_exists="use")
    with pytest.raises(ValueError, match="if_exists must be 'error' or 'use', got 'maybe'"):
        client.create_run(name, SPEC, if_exists="maybe")  # type: ignore[arg-type]  # the refusal is the test


def test_a_worker_of_a_branch_that_was_left_is_told(client: Client, name: str) -> None:
    """Its report does not count, and the answer says so, with the version that the run has now."""
    client.create_run(name, SPEC)
    client.report_progress(name, "rank-0", 900, version=1)
    rewound = client.rollback(name, 1, rewind=True)
    late = client.report_progress(name, "rank-0", 901, version=1)
    assert late == ProgressReport(2, rewound.digest, None, False)
    assert client.amend(name, HOLD).version == 3
