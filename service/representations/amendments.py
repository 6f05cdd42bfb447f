"""Amendments, proposals and progress of runs over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from scheduler import ScheduleError
from scheduler.amendments import Amendment, parse_amendment
from scheduler.fields import coerce_int
from service.database.runs.rows import ProgressRow, ProposalRow
from service.errors import MOST_INTEGER
from service.representations.bodies import model_of
from service.representations.runs import Text, outline
from service.runs.amendments import DryRun
from service.settings import Settings
from service.strict_json import check_json
from service.tables.specs import invalid

WORKER_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}$"
"""The format of a worker's name."""
_LARGEST = 1e300  # JSON has no infinity
_NAME = "Amendment"  # of the schema


class _Options(BaseModel):
    """What may stand beside an amendment in a body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text | None = None
    link: Text | None = None
    dry_run: bool = Field(False, description="whether only to say what the amendment would do")


@dataclass(frozen=True)
class AmendmentRequest:
    """A body with an amendment: the amendment, and what stands beside it."""

    amendment: Amendment
    reason: str | None
    link: str | None
    dry_run: bool


def read_amendment(body: bytes, settings: Settings) -> AmendmentRequest:
    """Return the amendment in a JSON body. Raises `MalformedBodyError` and `InvalidRequestError`."""
    data = check_json(body, max_depth=settings.max_depth, max_items=settings.max_items)
    given: dict[str, Any] = {}
    if isinstance(data, dict):
        given = {name: data.pop(name) for name in _Options.model_fields if name in data}
    options = model_of(given, _Options)
    try:
        amendment = parse_amendment(data)
    except ScheduleError as error:
        raise invalid(error) from error
    return AmendmentRequest(amendment, options.reason, options.link, options.dry_run)


def amendment_schemas(reference: str) -> dict[str, Any]:
    """Return the JSON schemas of bodies with an amendment, by name; `reference` is the template of references."""
    templates = TypeAdapter(Amendment).json_schema(ref_template=reference)
    options = _Options.model_json_schema()["properties"]
    names = [choice["$ref"].rpartition("/")[2] for choice in templates["oneOf"]]
    schemas = {name: templates["$defs"][name] for name in names}
    for schema in schemas.values():
        schema["properties"] |= options
    return {**schemas, _NAME: {"oneOf": templates["oneOf"]}}


def amendment_body(reference: str) -> dict[str, Any]:
    """Return the part of an OpenAPI operation that describes a body with an amendment."""
    schema = {"$ref": reference.format(model=_NAME)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


class DryRunDocument(BaseModel):
    """What an amendment would do to a run; nothing is changed."""

    digest: str = Field(description="SHA-256 of the amended table, which is stored")
    spec: dict[str, Any]
    total_steps: int
    from_step: int
    first_step: int | None = Field(description="first row that differs; null if none does")
    last_steps: dict[str, float] = Field(description="column to its value in the last row")
    largest_factor: float = Field(description="largest factor, up or down, between an old and a new rate of a row")
    refusals: list[dict[str, Any]] = Field(description="why it would be refused now, each with its code and detail")
    picture: str = Field(description="SVG: the old and the new curve")

    @classmethod
    def of(cls, found: DryRun) -> DryRunDocument:
        """Return the document of a dry run."""
        prepared = found.prepared
        return cls(
            digest=prepared.target.digest,
            spec=prepared.spec.model_dump(mode="json"),
            total_steps=prepared.target.total_steps,
            from_step=prepared.amendment.from_step,
            first_step=prepared.change.first_step,
            last_steps=dict(found.last),
            largest_factor=min(prepared.change.factor, _LARGEST),
            refusals=found.refusals,
            picture=found.picture,
        )


class Proposal(BaseModel):
    """A proposed amendment of a run."""

    proposal: int = Field(description="1, 2, ... without a gap")
    base_version: int = Field(description="the run's version that it was made for")
    amendment: dict[str, Any]
    state: str = Field(description="open, approved or rejected")
    author: str = Field(description="name of the token; empty where none is required")
    reason: str | None
    link: str | None
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    version: int | None = Field(description="the version that its approval made")

    @classmethod
    def of(cls, row: ProposalRow, *, with_values: bool = True) -> Proposal:
        """Return the document of a proposal. Without `with_values` it has only an outline of the amendment."""
        return cls(
            proposal=row.proposal,
            base_version=row.base_version,
            amendment=json.loads(row.amendment) if with_values else outline(row.amendment),
            state=row.state,
            author=row.author,
            reason=row.reason,
            link=row.link,
            created_at=datetime.fromtimestamp(row.created_at, UTC),
            decided_by=row.decided_by,
            decided_at=None if row.decided_at is None else datetime.fromtimestamp(row.decided_at, UTC),
            version=row.version,
        )


class NewProposal(Proposal):
    """A proposed amendment of a run, as the response that made it has it."""

    refusals: list[dict[str, Any]] = Field(
        description="why its approval would be refused now, each with its code and detail; empty if it would not be"
    )

    @classmethod
    def of_new(cls, row: ProposalRow, refusals: list[dict[str, Any]]) -> NewProposal:
        """Return the document of a proposal that was just made."""
        return cls(**Proposal.of(row).model_dump(), refusals=refusals)


class Proposals(BaseModel):
    """A page of a run's proposals."""

    proposals: list[Proposal]
    next: int | None = Field(description="`after` of the next page; null on the last")


class DecisionRequest(BaseModel):
    """The body that may come with the approval or rejection of a proposal."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text | None = None


class ProgressRequest(BaseModel):
    """The body that reports a worker's position."""

    model_config = ConfigDict(extra="forbid", strict=True)

    worker: Annotated[str, Field(pattern=WORKER_PATTERN, description="its name within the run, such as rank-0")]
    step: Annotated[
        int,
        Field(ge=0, le=MOST_INTEGER, description="progress in units of the table's axis"),
        BeforeValidator(coerce_int),
    ]
    version: Annotated[int, Field(ge=1, le=MOST_INTEGER), BeforeValidator(coerce_int)] | None = Field(
        None, description="of the run, which the worker follows: a report from before a rewind then does not count"
    )


class ProgressAnswer(BaseModel):
    """The response to a report of a worker's position."""

    version: int = Field(description="the run's version now")
    digest: str = Field(description="the table of that version")
    highest: int | None = Field(description="the highest position that a worker has reported; null if none counts")
    counted: bool = Field(description="whether the report counts: not where workers have gone back since its version")


class WorkerProgress(BaseModel):
    """The position that a worker reported last."""

    step: int
    reported_at: datetime
    version: int | None = Field(description="of the run, which the worker follows; null where it has not said")


class Progress(BaseModel):
    """The positions of a run's workers since it was last rewound."""

    workers: dict[str, WorkerProgress]
    highest: int | None = Field(description="null if no worker has reported")

    @classmethod
    def of(cls, rows: list[ProgressRow]) -> Progress:
        """Return the document of all reports."""
        workers = {
            row.worker: WorkerProgress(
                step=row.step, reported_at=datetime.fromtimestamp(row.reported_at, UTC), version=row.version
            )
            for row in rows
        }
        return cls(workers=workers, highest=max((row.step for row in rows), default=None))


class Forgotten(BaseModel):
    """The workers whose positions were forgotten."""

    forgotten: list[str]
