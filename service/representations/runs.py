"""Runs over HTTP: their documents, and the bodies of requests that change them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scheduler.table_format import Axis
from service.database.runs.listing import RunCursor, RunFilter
from service.database.runs.rows import Expected, RunHead, RunName, RunRow, RunState, RunVersionRow
from service.errors import MOST_INTEGER, InvalidRequestError, PreconditionFailedError, PreconditionRequiredError
from service.representations.manifest import location
from service.runs.heads import ServedHead
from service.runs.rules import NAME_PART, TEXT_PATTERN, Labels, Rules
from service.runs.service import RunChangedError

_TAG = re.compile(r'"v([1-9][0-9]{0,14})([.](0|[1-9][0-9]{0,14}))?"')
_PREFIX = f"^({NAME_PART}(/({NAME_PART})?)?)?$"
_PART = "^[A-Za-z0-9._/-]{1,201}$"
_LABEL = f"^{NAME_PART}:[^\\x00]{{0,200}}$"
_CURSOR = f"^[0-9]{{1,12}}([.][0-9]{{1,12}})?/{NAME_PART}/{NAME_PART}$"
_NO_VERSION = -1  # no run is ever at it

Action = Literal["create", "move", "amend", "rewind", "rollback", "delete"]
Text = Annotated[str, Field(max_length=4000, pattern=TEXT_PATTERN)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class RunVersion(BaseModel):
    """A version of a run, which never changes."""

    namespace: str
    name: str
    version: int = Field(description="1, 2, ... without a gap")
    action: Action
    digest: str = Field(description="the table's SHA-256")
    spec_id: str | None
    spec: dict[str, Any] | None = Field(description="null for a table that was published without being computed here")
    total_steps: int
    axis: Axis
    stride: int
    table: str = Field(description="path of the table")
    parent: int | None = Field(description="the version that it was made from; null for the first")
    from_step: int | None = Field(description="first row that may differ from the parent's; null where none is known")
    amendment: dict[str, Any] | None
    author: str = Field(description="name of the token; empty where none is required")
    reason: str | None
    link: str | None
    created_at: datetime

    @classmethod
    def of_version(cls, row: RunVersionRow, **more: Any) -> RunVersion:
        """Return the document of a version; `more` are the fields of a subclass."""
        return cls(
            namespace=row.namespace,
            name=row.name,
            version=row.version,
            action=row.action,  # type: ignore[arg-type]  # validated
            digest=row.digest,
            spec_id=row.spec_id,
            spec=None if row.spec is None else json.loads(row.spec),
            total_steps=row.total_steps,
            axis=row.axis,  # type: ignore[arg-type]  # validated
            stride=row.stride,
            table=location(row.digest),
            parent=row.parent,
            from_step=row.from_step,
            amendment=None if row.amendment is None else json.loads(row.amendment),
            author=row.author,
            reason=row.reason,
            link=row.link,
            created_at=datetime.fromtimestamp(row.created_at, UTC),
            **more,
        )


class Run(RunVersion):
    """A run with its newest version."""

    labels: dict[str, str]
    rules: dict[str, int | float] = Field(description="the guard rails for its changes, those that are set")
    locked: bool
    deleted: bool
    revision: int = Field(
        description="how often lock, labels or rules were set anew at this version; beside 0 the ETag has it: `v3.2`"
    )

    @classmethod
    def of(cls, head: RunHead, *, with_values: bool = True) -> Run:
        """Return the document of a run. Without `with_values` it has no spec, and an outline of the amendment."""
        row = head.version
        document = cls.of_version(row if with_values else replace(row, spec=None), **_settings(head.run))
        if not with_values and row.amendment is not None:
            document.amendment = outline(row.amendment)
        assert isinstance(document, Run)
        return document


class RunNow(Run):
    """A run as the server knows it: at most 2 seconds old, unless it is flagged stale."""

    stale: bool = Field(description="whether it may be older, because the database is away")
    age_seconds: float

    @classmethod
    def of_served(cls, served: ServedHead) -> RunNow:
        """Return the document of a run that exists."""
        assert served.head is not None
        more = {**_settings(served.head.run), "stale": served.stale, "age_seconds": round(served.age_seconds, 3)}
        document = cls.of_version(served.head.version, **more)
        assert isinstance(document, RunNow)
        return document


class RunVersions(BaseModel):
    """A page of a run's versions."""

    versions: list[RunVersion]
    next: int | None = Field(description="`after` of the next page; null on the last")


class RunList(BaseModel):
    """A page of the list of runs."""

    runs: list[Run]
    next: str | None = Field(description="`after` of the next page; null on the last")


class RunsQuery(BaseModel):
    """The runs to list."""

    model_config = ConfigDict(extra="forbid")

    prefix: str = Field("", pattern=_PREFIX, description="beginning of the name: `team-a/` or `team-a/be`")
    contains: list[Annotated[str, Field(pattern=_PART)]] = Field(
        [], description="part of the name, in upper or lower case: `bert`, `a/be`; several must all be in it"
    )
    label: list[Annotated[str, Field(pattern=_LABEL)]] = Field([], description="`name:value`; several must all hold")
    kind: str | None = Field(
        None, max_length=100, pattern=TEXT_PATTERN, description="kind of the first group's schedule"
    )
    digest: str = Field("", pattern="^[0-9a-f]{0,64}$", description="the table's digest, or how it begins")
    newest: bool = Field(False, description="the run that was created last first; else ordered by name")
    limit: int = Field(100, ge=1, le=500, description="most runs of this page")
    after: str | None = Field(None, pattern=_CURSOR, description="`next` of the page before")

    def wanted(self, namespaces: Sequence[str]) -> RunFilter:
        """Return the filter for a token with these namespaces."""
        labels = [(name, value) for name, _, value in (label.partition(":") for label in self.label)]
        return RunFilter(self.prefix, self.contains, labels, self.kind, self.digest, namespaces, self.newest)

    def cursor(self) -> RunCursor | None:
        """Return the last run of the page before."""
        if self.after is None:
            return None
        created_at, namespace, name = self.after.split("/")
        return RunCursor(RunName(namespace, name), float(created_at))

    @staticmethod
    def text_of(cursor: RunCursor | None) -> str | None:
        """Return the cursor of the next page as `after` takes it."""
        return None if cursor is None else f"{cursor.created_at!r}/{cursor.name}"


class _Reasons(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text | None = None
    link: Text | None = None


class RunRequest(_Reasons):
    """The body that creates or moves a run: a spec, or the digest of a stored table."""

    spec: dict[str, Any] | None = None
    digest: Digest | None = None
    labels: Labels | None = Field(None, description="replaces all labels; without it they are kept")
    rules: Rules | None = Field(None, description="replaces all guard rails; without it they are kept")
    if_exists: Literal["use"] | None = Field(
        None,
        description="with If-None-Match: *, for a run that has moved on: `use` it as it is now, whatever its version, "
        "if it was created with this table",
    )

    @model_validator(mode="after")
    def _check(self) -> RunRequest:
        if (self.spec is None) == (self.digest is None):
            raise ValueError("the body must have either spec or digest")
        return self


class RollbackRequest(_Reasons):
    """The body that rolls a run back to an earlier version."""

    version: int = Field(ge=1, le=MOST_INTEGER)
    rewind: bool = Field(False, description="whether rows may differ that workers have passed: they go back")


class DeleteRequest(_Reasons):
    """The body that may come with the deletion of a run."""


class RunSettings(BaseModel):
    """The body that changes what is set of a run; what is missing is kept."""

    model_config = ConfigDict(extra="forbid", strict=True)

    locked: bool | None = None
    labels: Labels | None = Field(None, description="replaces all labels")
    rules: Rules | None = Field(None, description="replaces all guard rails")
    reason: Text | None = None


def outline(amendment: str) -> dict[str, Any]:
    """Return what tells nothing of a table's values: the template of an amendment in JSON, and its step."""
    given = json.loads(amendment)
    return {name: given[name] for name in ("template", "from_step")}


def etag(version: int, revision: int = 0) -> str:
    """Return the entity tag of a run at this version: `"v3"`, and `"v3.2"` after it was set anew twice."""
    return f'"v{version}.{revision}"' if revision else f'"v{version}"'


def expected_version(if_match: str) -> Expected:
    """Return what an If-Match header expects of the run; a version that no run has for any other entity tag.

    `"v3"` is version 3, whatever was set of it since, and `"v3.2"` that version at that revision. `"v3.0"` is it
    before anything was set. Raises `PreconditionRequiredError` if it names no version.
    """
    found = _TAG.fullmatch(if_match.strip())
    if found is not None:
        return int(found[1]) if found[3] is None else RunState(int(found[1]), int(found[3]))
    if if_match.strip() in ("", "*"):
        raise PreconditionRequiredError(
            f'If-Match must name the version that the run has, such as "v3", got {if_match!r}'
        )
    return _NO_VERSION


def precondition(if_match: str, if_none_match: str) -> Expected | None:
    """Return the state that a PUT expects; None if there must be no such run.

    Raises `PreconditionRequiredError`, and `InvalidRequestError` for two preconditions that contradict each other.
    """
    if not if_none_match:
        if not if_match:
            raise PreconditionRequiredError(
                'send If-None-Match: * to create the run, or If-Match: "v3" to move it from that version'
            )
        return expected_version(if_match)
    if if_none_match.strip() != "*":
        raise PreconditionRequiredError(f"If-None-Match must be *, which creates the run, got {if_none_match!r}")
    if if_match:
        raise InvalidRequestError.of_parameter("if-match", "If-Match contradicts If-None-Match: send one", if_match)
    return None


def conflict(error: RunChangedError, *, with_values: bool) -> PreconditionFailedError:
    """Return the error that a client is sent for a run that has changed.

    Without `with_values` it has nothing of the run's table: the token may not read.
    """
    if not with_values:
        return PreconditionFailedError(str(error).partition(";")[0])
    members: dict[str, Any] = {"current": Run.of(error.head).model_dump(mode="json"), "difference": None}
    if (found := error.difference) is not None:
        columns = {name: list(pair) for name, pair in found.columns.items()}
        members["difference"] = {"first_step": found.first_step, "columns": columns, "text": found.text}
    return PreconditionFailedError(str(error), members=members)


def _settings(run: RunRow) -> dict[str, Any]:
    flags = {"locked": bool(run.locked), "deleted": bool(run.deleted)}
    return {"labels": run.labels, "rules": run.rules, **flags, "revision": run.state.revision}
