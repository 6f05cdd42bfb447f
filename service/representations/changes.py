"""Changes of runs as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.database.changes import PAGE, ChangeRow
from service.runs.feed import Read
from service.runs.rules import NAME_PART

_CACHED = 1024  # changes: all clients that wait are sent the same ones
_LONGEST_WAIT = 60  # seconds

_Position = Annotated[int, Field(ge=0, le=10**15 - 1)]
_Run = Annotated[str, Field(pattern=f"^{NAME_PART}/{NAME_PART}$")]


class ChangesQuery(BaseModel):
    """Query parameters of a request for changes."""

    model_config = ConfigDict(extra="forbid")

    since: _Position = Field(0, description="only changes after this number; 0 is all")
    wait: float = Field(0, ge=0, le=_LONGEST_WAIT, description="seconds to wait for a change if there is none yet")
    limit: int = Field(PAGE, ge=1, le=PAGE, description="most changes in the response")
    run: _Run | None = Field(None, description="only changes of this run, such as `team-a/bert`")


class EventsQuery(BaseModel):
    """Query parameters of a request for changes as events."""

    model_config = ConfigDict(extra="forbid")

    since: _Position | None = Field(None, description="only changes after this number; by default only new ones")
    wait: float | None = Field(None, ge=0, le=1e9, description="seconds after which the stream ends; default: never")
    run: _Run | None = Field(None, description="only changes of this run, such as `team-a/bert`")


class Change(BaseModel):
    """A change of a run."""

    sequence: int = Field(description="number of the change: 1, 2, ... over all runs, without a gap")
    namespace: str
    name: str
    version: int = Field(description="the run's newest version after the change")
    action: str = Field(description="that of the version, or lock, unlock, labels, rules, propose, reject, forget")
    digest: str = Field(description="digest of the table of that version")
    author: str = Field(description="name of the token; empty if the server requires no tokens")
    reason: str | None = Field(description="why, as its author gave it")
    created_at: datetime
    details: dict[str, Any] | None = Field(
        description="what was set (`labels`, `rules`), the `proposal`, the `version` that was rolled back to, or the "
        "`worker` whose position was forgotten; null where there is nothing to tell"
    )


class Changes(BaseModel):
    """A part of the feed of changes."""

    changes: list[Change] = Field(description="in the order in which they were made")
    next: int = Field(description="number of the last change that was looked at: `since` of the next request")


@lru_cache(_CACHED)
def change_json(change: ChangeRow) -> str:
    """Return a change as JSON, in one line."""
    fields = {name: getattr(change, name) for name in Change.model_fields if name != "created_at"}
    return Change(**fields, created_at=datetime.fromtimestamp(change.created_at, UTC)).model_dump_json()


def changes_json(read: Read) -> str:
    """Return a part of the feed as JSON."""
    return f'{{"changes":[{",".join(map(change_json, read.changes))}],"next":{read.next}}}'
