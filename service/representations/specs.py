"""Request bodies with a spec."""

from __future__ import annotations

from functools import lru_cache, partial

from starlette.types import Receive

from scheduler import Spec
from service.concurrency.executors import Executors
from service.http.disconnect import cancel_on_disconnect
from service.settings import Settings
from service.strict_json import SMALL
from service.tables.specs import read_spec

_CACHED = 256  # bodies


class SpecReader:
    """Parses specs. Specs of small bodies are cached by body; large bodies are parsed in a thread."""

    def __init__(self, settings: Settings, executors: Executors) -> None:
        self._settings = settings
        self._executors = executors
        self._read_small = lru_cache(_CACHED)(partial(read_spec, settings=settings))

    async def read(self, body: bytes, receive: Receive) -> Spec:
        """Return the spec in a received body. Raises what `read_spec` raises.

        Raises `ClientDisconnect` if the client disconnects first. A large body that still waits is then not parsed.
        """
        if len(body) <= SMALL:
            return self._read_small(body)
        return await cancel_on_disconnect(receive, self._executors.parse(read_spec, body, self._settings))
