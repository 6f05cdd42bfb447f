"""Examples of routes: a route declares a request, and `examples.json` beside this file has a server's answers to it.

`python -m tests.service.golden` records the answers; tests ask the same again and compare.
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
"""Names the example of an error in the file; every other name is that of a route."""


@dataclass(frozen=True)
class Example:
    """A request to a route.

    Args:
        parameters: of path and query, by name.
        body: JSON; None where the request has no body, or one that is not JSON.
        status: of the answer.
        answers: media types of the answers to show, one for each that Accept can ask for; none where the body is
            empty or nobody can read it.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 200
    answers: Sequence[str] = ("application/json",)


@cache
def answers_to(name: str) -> Mapping[str, Any]:
    """The recorded answers to a route's example, or `ERROR`'s, by media type; none where nothing was recorded."""
    recorded: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_bytes())
    return recorded.get(name, {})
