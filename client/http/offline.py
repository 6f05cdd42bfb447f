"""A transport that opens no socket."""

from __future__ import annotations

import os
from typing import Any

from typing_extensions import override

from client.errors import OfflineError
from client.http.responses import Response
from client.http.statistics import Statistics
from client.http.transport import Transport


def is_offline(given: bool | None) -> bool:
    """Whether no socket may be opened: as given, else as `LRTABLES_OFFLINE` says (`1`; empty or `0` for not).

    Raises `ValueError` for another value of the variable.
    """
    if given is not None:
        return given
    text = os.environ.get("LRTABLES_OFFLINE", "")
    if text not in ("", "0", "1"):
        raise ValueError(f"LRTABLES_OFFLINE must be 0 or 1, got {text!r}")
    return text == "1"


class OfflineTransport(Transport):
    """Refuses every request with an `OfflineError`, before anything of the network is touched.

    Args:
        base_url: of the service that would be asked; None where there is none.
    """

    def __init__(self, base_url: str | None) -> None:
        self.base_url = "" if base_url is None else base_url.rstrip("/")
        self.statistics = Statistics()

    @override
    def close(self) -> None:
        """There is nothing to close."""

    @override
    def send(self, method: str, path: str, **_: Any) -> Response:
        url = self.base_url + path
        raise OfflineError(f"offline: {method} {url} was not sent (LRTABLES_OFFLINE or offline=True)")
