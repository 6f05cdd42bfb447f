"""Proposals in the database: one suite for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.database.metadata import Metadata
from service.database.runs import proposals
from service.database.runs.proposals import DecidedError, TooManyProposalsError
from service.database.runs.records import LockedError, RunConflictError
from service.database.runs.rows import Author, ProposalRow, RunEdit, RunName, RunTarget

Execute = Callable[..., list[dict[str, Any]]]
AtOnce = Callable[[int, Callable[[int], str]], list[str]]

NAME = RunName("team-a", "bert")
AUTHOR, OTHER = Author("nightly", "id-1"), Author("boss", "id-2")
TARGET = RunTarget("1" * 64, 8, "step", 1)


@pytest.fixture
def metadata(metadata: Metadata) -> Metadata:
    """Metadata with a run."""
    metadata.tables.record("s1", "{}", TARGET.digest, 64)
    metadata.runs.change(NAME, None, TARGET, RunEdit("create", AUTHOR))
    return metadata


def propose(metadata: Metadata, expected: int = 1) -> ProposalRow:
    """Propose something."""
    return metadata.proposals.add(NAME, expected, '{"template":"hold","from_step":1}', AUTHOR, "flat", None)


def test_proposals_are_numbered_and_found(metadata: Metadata) -> None:
    """Each has the next number, and comes back as it was made; the feed has an entry for each."""
    made = [propose(metadata) for _ in range(3)]
    assert [row.proposal for row in made] == [1, 2, 3]
    assert metadata.proposals.find(NAME, 2) == made[1]
    assert metadata.proposals.find(NAME, 4) is None
    assert metadata.proposals.after(NAME, 1, limit=1) == [made[1]]
    assert (made[0].state, made[0].base_version, made[0].author, made[0].reason) == ("open", 1, "nightly", "flat")
    assert [each.action for each in metadata.changes.since(0)] == ["create", "propose", "propose", "propose"]
    assert list(metadata.verify_rows()) == []


def test_proposals_at_the_same_moment_have_numbers_of_their_own(metadata: Metadata, at_once: AtOnce) -> None:
    """Sixteen at once are numbered 1 to 16."""
    numbers = at_once(16, lambda _: f"{propose(metadata).proposal}")
    assert sorted(map(int, numbers)) == [*range(1, 17)]


def test_a_proposal_is_decided_once(metadata: Metadata) -> None:
    """Approved in the transaction of its version, or rejected; never again after that."""
    for _ in range(2):
        propose(metadata)

    def approve(number: int) -> None:
        metadata.runs.change(
            NAME,
            1,
            TARGET,
            RunEdit("amend", OTHER),
            lambda connection, run: metadata.proposals.approve(connection, NAME, number, OTHER, 2),
        )

    rejected = metadata.proposals.reject(NAME, 2, OTHER, "wait")
    assert (rejected.state, rejected.decided_by, rejected.version) == ("rejected", "boss", None)
    with pytest.raises(DecidedError, match="rejected") as refused:
        approve(2)
    assert refused.value.proposal == rejected
    head = metadata.runs.head(NAME)
    assert head is not None
    assert head.run.version == 1
    approve(1)
    found = metadata.proposals.find(NAME, 1)
    assert found is not None
    assert (found.state, found.version, found.decided_by) == ("approved", 2, "boss")
    assert found.decided_at is not None
    with pytest.raises(DecidedError, match="approved"):
        metadata.proposals.reject(NAME, 1, OTHER, None)
    changes = metadata.changes.since(3)
    assert [(each.action, each.reason) for each in changes] == [("reject", "wait"), ("amend", None)]


def test_what_cannot_be_is_not_proposed(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version, a locked run, and too many open proposals are refused."""
    with pytest.raises(RunConflictError, match="at version 1"):
        propose(metadata, 2)
    monkeypatch.setattr(proposals, "MOST_OPEN", 2)
    propose(metadata)
    propose(metadata)
    with pytest.raises(TooManyProposalsError, match="team-a/bert has 2 open proposals"):
        propose(metadata)
    metadata.proposals.reject(NAME, 1, OTHER, None)
    assert propose(metadata).proposal == 3
    metadata.runs.set(NAME, 1, AUTHOR, locked=True)
    with pytest.raises(LockedError, match="team-a/bert is locked"):
        propose(metadata)


def test_a_missing_proposal_is_reported(metadata: Metadata, execute: Execute) -> None:
    """`lrtables verify` tells of a gap in the numbers."""
    for _ in range(3):
        propose(metadata)
    execute("DELETE FROM run_proposals WHERE proposal = 2")
    assert list(metadata.verify_rows()) == ["run team-a/bert has 2 proposals, and the newest is 3"]
