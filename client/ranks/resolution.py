"""Which table a job uses: of a run's head, of a schedule, or of the checkpoint that is resumed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from client.errors import ClientError
from client.optimizer.replacement import check_replacement
from client.pinned_table import check_pin, is_run_name
from client.runs.documents import Run, parse_run
from scheduler import Schedule, Spec, Table
from scheduler.canonical import canonical_hash
from scheduler.texts import abbreviate, is_digest
from scheduler.views.table_difference import table_difference

Source = str | Schedule | Sequence[Schedule] | Spec
"""What names a table: a run, a digest, a schedule, one per parameter group, or a spec."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What the saved state of a scheduler says of its table, and the position."""

    digest: str
    position: int
    run: str | None
    version: int | None

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> Checkpoint:
        """Read a `TableLR.state_dict()`. Raises `ValueError` where it is none."""
        digest, position = state.get("digest"), state.get("last_epoch")
        if not is_digest(digest) or type(position) is not int:
            raise ValueError(f"checkpoint must be the state of a TableLR, got {abbreviate(state)}")
        check_pin(state.get("run"), state.get("version"))
        return cls(digest, max(position, 0), state.get("run"), state.get("version"))


@dataclass(frozen=True)
class Resolved:
    """The one table that a job uses: its digest, and the run and version that named it.

    Attributes:
        replaces: the digest of the checkpoint's table, where the job follows its run to a newer one.
        head: the run as the service describes it, where it is at this table.
        warning: what the user should know about the choice; empty without anything.
        table: the table, where resolving has fetched it.
    """

    digest: str
    run: str | None = None
    version: int | None = None
    replaces: str | None = None
    head: Run | None = None
    warning: str = ""
    table: Table | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, without warning and table."""
        head = None if self.head is None else self.head.to_dict()
        return {
            "digest": self.digest, "run": self.run, "version": self.version, "replaces": self.replaces, "head": head
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Resolved:
        """What `to_dict` gave."""
        return cls(**{**data, "head": None if data["head"] is None else parse_run(data["head"])})

    def get_from(self, client: Any) -> Table:
        """The table, the cheapest way that the client knows. Raises what the client raises."""
        table: Table = self.table or client.get(self.head or self.digest)
        return table


def described(what: object, checkpoint: Checkpoint | None = None) -> str:
    """What a caller asks for, in words: equal on ranks that ask for the same."""
    if isinstance(what, Table):
        return "a table of its own"
    if isinstance(what, Spec):
        return f"the table of spec {what.id}"
    if isinstance(what, Schedule):
        return f"the table of {abbreviate(what)} ({_mark([what])})"
    if is_digest(what):
        return f"table {what}"
    if is_run_name(what):
        return f"run {what!r}"
    if isinstance(what, Sequence) and not isinstance(what, str) and all(isinstance(each, Schedule) for each in what):
        return f"the table of {len(what)} schedules, {abbreviate([*what])} ({_mark(what)})"
    if what is None and checkpoint is not None:
        return f"table {checkpoint.digest}"
    raise ValueError(
        "what must be a run's name like 'namespace/name', a digest, a schedule, a sequence of them, a Spec or a Table, "
        f"got {abbreviate(what)}"
    )


def _mark(schedules: Sequence[Schedule]) -> str:
    """What tells schedules from others that look alike when shortened: the start of a hash of all their parameters."""
    return canonical_hash([each.to_dict() for each in schedules])[:16]


def resolve(client: Any, what: Source | None, checkpoint: Checkpoint | None, *, follow: bool) -> Resolved:
    """The table of a new job, or of one that is resumed: the checkpoint's, whatever its run has become.

    Whether the run has moved on is asked only of a service that answers within 5 seconds, or refuses at once.

    Raises what the client raises where the table cannot be had.
    """
    if checkpoint is None:
        if what is None:
            raise ValueError("what must be given where there is no checkpoint")
        return _newest(client, what)
    kept = Resolved(checkpoint.digest, checkpoint.run, checkpoint.version)
    name = checkpoint.run if what is None else what
    if name is None:
        return kept
    if is_run_name(name) and not (status := client.status()).reachable:  # a restart must not wait for the service
        _logger.warning("whether %s has moved on is not known: %s", described(name), status.error)
        return kept
    try:
        newest = _newest(client, name)
        if newest.digest == kept.digest:
            return replace(kept, head=newest.head)
        new = newest.get_from(client)
    except ClientError as error:
        _logger.warning("whether %s has moved on is not known: %s", described(name), error)
        return kept
    kept = replace(kept, table=kept.get_from(client))
    return _moved(replace(newest, table=new), kept, checkpoint, follow=follow)


def _newest(client: Any, what: Source) -> Resolved:
    if is_digest(what):
        return Resolved(what)
    if is_run_name(what):
        run = client.run(what)
        return Resolved(run.digest, what, run.version, head=run)
    table = client.fetch(what)
    return Resolved(table.digest, table=table)


def _moved(newest: Resolved, kept: Resolved, checkpoint: Checkpoint, *, follow: bool) -> Resolved:
    """The checkpoint's table or the newer one, and what is to be said about it."""
    old, new = kept.table, newest.table
    if old is None or new is None:
        return kept
    names = [_version_in_words(each) for each in (kept, newest)]
    same_columns = old.columns.keys() == new.columns.keys()
    difference = table_difference(old, new) if same_columns else None
    where = f"they differ first in {difference}" if same_columns else "their columns differ"
    moved = f"the checkpoint has {names[0]}, and the newest is {names[1]}: {where}. "
    if not follow:
        return replace(kept, warning=f"{moved}Going on with the checkpoint's; follow=True takes the newest")
    try:
        check_replacement(old, new, checkpoint.position)
    except ValueError as error:
        return replace(kept, warning=f"{moved}Going on with the checkpoint's, because {error}")
    return replace(newest, replaces=kept.digest)


def _version_in_words(resolved: Resolved) -> str:
    table = f"table {resolved.digest[:12]}"
    return table if resolved.run is None else f"version {resolved.version} of {resolved.run} ({table})"
