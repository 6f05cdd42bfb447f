"""What may be set of a run: its labels, and the guard rails for its changes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scheduler.fields import coerce_int
from service.errors import MOST_INTEGER

NAME_PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""The format of each part of a run's name, and of a label's name, as a part of a regular expression."""
NAME_PATTERN = f"^{NAME_PART}$"
"""The same as a whole one."""
TEXT_PATTERN = "^[^\\x00]*$"
"""The format of free text: PostgreSQL cannot store NUL."""
MOST_LABELS = 64

LabelName = Annotated[str, Field(pattern=NAME_PATTERN)]
LabelValue = Annotated[str, Field(max_length=200, pattern=TEXT_PATTERN)]
Labels = Annotated[
    dict[LabelName, LabelValue], Field(max_length=MOST_LABELS, json_schema_extra={"additionalProperties": False})
]
Rate = Annotated[float, Field(ge=0.0)]


class Rules(BaseModel):
    """The guard rails for changes of a run; one that is null does not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    min_lr: Rate | None = Field(None, description="least learning rate of any row from the first changed one on")
    max_lr: Rate | None = Field(None, description="largest learning rate of such a row")
    max_factor: Annotated[float, Field(ge=1.0)] | None = Field(
        None, description="largest factor, up or down, between a row of the old table and of the new one"
    )
    cooloff_seconds: Rate | None = Field(None, description="least time between two changes, in seconds")
    margin_steps: Annotated[int, Field(ge=0, le=MOST_INTEGER), BeforeValidator(coerce_int)] | None = Field(
        None, description="rows between the highest reported one and the first that a change may touch; default: 100"
    )
