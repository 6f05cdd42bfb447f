"""The rows of named runs, and the values that a change of a run is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from typing_extensions import override

from service.database.rows import Row, Stored


class RunName(NamedTuple):
    """The name of a run: `namespace/name`."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def lock(self) -> str:
        """The name that a transaction locks which changes the run; those that report progress share it."""
        return f"run {self}"


@dataclass(frozen=True)
class RunTarget:
    """The table that a version names, and the spec that it was computed from.

    Args:
        digest: of the table.
        total_steps: the number of its rows.
        axis: what they count.
        stride: units of progress per row.
        kind: of the first group's schedule; None for a table without a spec.
        spec_id: of the spec; None without one.
        spec: the spec's JSON; None without one.
    """

    digest: str
    total_steps: int
    axis: str
    stride: int
    kind: str | None = None
    spec_id: str | None = None
    spec: str | None = None


@dataclass(frozen=True)
class Author:
    """Who makes a change: the name and the id of the token, both empty where none is required."""

    name: str = ""
    token_id: str = ""


class RunState(NamedTuple):
    """A version of a run, and how often its lock, labels or guard rails were set anew at that version."""

    version: int
    revision: int


Expected = int | RunState
"""What a change expects of a run: its version, whatever was set of it since, or that too."""


@dataclass(frozen=True)
class RunEdit:
    """What is recorded of a change beside the table.

    Args:
        action: create, move, amend, rewind, rollback or delete.
        author: who makes it.
        reason: free text; None where none was given.
        link: an address to read more; None where none was given.
        from_step: first row that may differ from the parent's; None where none is known.
        amendment: JSON of the amendment as it was asked for; None for other actions.
        labels: the run's new labels; None keeps them.
        rules: the run's new guard rails; None keeps them.
        begins_branch: whether what workers have reported before does not hold for it: they go back, or begin anew.
        details: what the feed of changes tells of it beside labels and rules, as JSON data.
    """

    action: str
    author: Author = Author()  # it is frozen
    reason: str | None = None
    link: str | None = None
    from_step: int | None = None
    amendment: str | None = None
    labels: Mapping[str, str] | None = None
    rules: Mapping[str, Any] | None = None
    begins_branch: bool = False
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class RunRow(Row):
    """The head of a run. `locked` and `deleted` are 0 or 1; times are in seconds since 1970.

    `revision` counts how often it was set anew at its version. Reports of workers that follow a version before `branch`
    do not count. None stands for 0.
    """

    namespace: str
    name: str
    version: int
    digest: str
    kind: str | None
    labels: Mapping[str, str]
    rules: Mapping[str, Any]
    locked: int
    deleted: int
    created_at: float
    changed_at: float
    revision: int | None = None
    branch: int | None = None

    @property
    def state(self) -> RunState:
        """Version and revision."""
        return RunState(self.version, self.revision or 0)

    def is_at(self, expected: Expected) -> bool:
        """Return whether the run is as a change expects it."""
        return expected in (self.version, self.state)

    @classmethod
    @override
    def of(cls, stored: Stored) -> Self:
        return super().of({**stored, **{name: json.loads(stored[name]) for name in ("labels", "rules")}})


@dataclass(frozen=True)
class RunVersionRow(Row):
    """A version of a run, which never changes. `spec` and `amendment` are JSON; `created_at` in seconds since 1970."""

    namespace: str
    name: str
    version: int
    action: str
    digest: str
    total_steps: int
    axis: str
    stride: int
    kind: str | None
    spec_id: str | None
    spec: str | None
    parent: int | None
    from_step: int | None
    amendment: str | None
    author: str
    token_id: str
    reason: str | None
    link: str | None
    created_at: float

    @property
    def target(self) -> RunTarget:
        """The table that this version names."""
        return RunTarget(**{field.name: getattr(self, field.name) for field in fields(RunTarget)})


class RunHead(NamedTuple):
    """A run as it is now: its own row, and that of its newest version."""

    run: RunRow
    version: RunVersionRow


@dataclass(frozen=True)
class ProposalRow(Row):
    """A proposed amendment of a run. `amendment` is JSON; times are in seconds since 1970."""

    namespace: str
    name: str
    proposal: int
    base_version: int
    amendment: str
    author: str
    token_id: str
    reason: str | None
    link: str | None
    created_at: float
    state: str = "open"
    decided_by: str | None = None
    decided_at: float | None = None
    version: int | None = None


@dataclass(frozen=True)
class ProgressRow(Row):
    """The last position that a worker reported, in units of the table's axis. Times are in seconds since 1970.

    `version` is the run's that the worker follows; None where it has not said.
    """

    namespace: str
    name: str
    worker: str
    step: int
    reported_at: float
    version: int | None = None
