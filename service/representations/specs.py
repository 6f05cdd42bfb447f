"""Specs that clients send."""

from __future__ import annotations

from functools import lru_cache, partial

from starlette.types import Receive

from scheduler import Spec
from service.concurrency.executors import Executors
from service.http.disconnect import cancel_on_disconnect
from service.settings import Settings
from service.strict_json import SMALL
from service.tables.specs import read_spec

_REMEMBERED = 256  # bodies


class SpecReader:
    """Reads specs out of bodies. A small body that was read before is not parsed again; a large one is in a thread."""

    def __init__(self, settings: Settings, executors: Executors) -> None:
        self._settings = settings
        self._executors = executors
        self._read_small = lru_cache(_REMEMBERED)(partial(read_spec, settings=settings))

    async def read(self, body: bytes, receive: Receive) -> Spec:
        """The spec in a body, which must have been read; raises what `read_spec` raises.

        A large one whose client goes away before it is begun is not read: `ClientDisconnect`.
        """
        if len(body) <= SMALL:
            return self._read_small(body)
        return await cancel_on_disconnect(receive, self._executors.parse(read_spec, body, self._settings))
