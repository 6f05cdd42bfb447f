"""An example of every route, recorded from a server: what was asked, and what was answered.

`examples.json` beside this file holds them; tests ask the same again and compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("examples.json")


class Example(BaseModel):
    """A request, and the answer to it.

    Args:
        parameters: in path and query, by name.
        body: of the request, where it is JSON.
        status: of the answer.
        answers: the answer's body by media type: one each for what Accept can ask for; none where nobody can read it.
    """

    model_config = ConfigDict(extra="forbid")

    parameters: Mapping[str, Any] = {}
    body: Any = None
    status: int = 200
    answers: Mapping[str, Any] = {}


class Examples(BaseModel):
    """The examples of routes, by method and path as in `get /v1/tables/{digest}`, and one of an error."""

    model_config = ConfigDict(extra="forbid")

    routes: Mapping[str, Example]
    error: Example


@cache
def examples() -> Examples:
    """All of them."""
    return Examples.model_validate_json(FILE.read_bytes())
