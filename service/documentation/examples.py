"""Examples of routes: a route declares a request, and `examples.json` beside this file has a server's responses to it.

`python -m tests.service.golden` records the responses; tests repeat the requests and compare.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("examples.json")
ERROR = "error"
"""The name of the error example in the file. All other names are those of routes."""


@dataclass(frozen=True)
class Example:
    """A request to a route.

    Args:
        parameters: path and query parameters by name.
        body: JSON; None if the request has no body, or one that is not JSON.
        status: status of the response.
        responses: media types of the responses to show, one for each that Accept can select; none if the body is
            empty or binary.
        headers: request headers by their names in lower case.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 200
    responses: Sequence[str] = ("application/json",)
    headers: Mapping[str, str] = field(default_factory=dict)


@cache
def recorded_responses(name: str) -> Mapping[str, Any]:
    """Return the recorded responses to the example of a route, or of `ERROR`, by media type; empty if none exist."""
    recorded: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_bytes())
    return recorded.get(name, {})
