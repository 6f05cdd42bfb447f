"""Host header validation: it protects a server without tokens against DNS rebinding.

A web page can make its own host name resolve to the loopback address. The browser then treats this server as the page's
origin and sends it any request, but with the page's host name in the Host header.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from service.errors import abbreviate
from service.settings import ANY_HOST, Settings, is_loopback

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+?)\.?(?::[0-9]*)?")
_MOST = 256  # cached hosts, and characters of a cached host


class Hosts:
    """Decides which Host headers are accepted. Ports are ignored.

    `localhost`, loopback addresses, the server's own host and its `allowed_hosts` are accepted. If the server listens
    beyond the loopback, every IP address is: DNS rebinding needs a name. By default every host is accepted if the
    server requires tokens, which the page does not have, or listens beyond the loopback, where its names are unknown.
    """

    def __init__(self, settings: Settings) -> None:
        allowed = settings.allowed_hosts
        if allowed is None and (settings.requires_tokens or not is_loopback(settings.host)):
            allowed = (ANY_HOST,)
        self._any = ANY_HOST in (allowed or ())
        self._names = {"localhost", settings.host.lower(), *(allowed or ())}
        self._is_local = is_loopback(settings.host)
        self._cached = lru_cache(_MOST)(self._is_allowed)

    def is_allowed(self, host: bytes) -> bool:
        """Return whether a request with this Host header is accepted."""
        if self._any:
            return True
        return (self._cached if len(host) <= _MOST else self._is_allowed)(host)

    def _is_allowed(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            return False
        name = found[1].strip("[]")
        return name in self._names or self._is_address(name)

    def _is_address(self, name: str) -> bool:
        try:
            return ip_address(name).is_loopback or not self._is_local
        except ValueError:
            return False

    def refusal(self, host: bytes) -> str:
        """Return the error message for a Host header that is not accepted."""
        value, names = abbreviate(host.decode("latin-1")), ", ".join(sorted(self._names))
        return f"the Host header must be one of {names}, got {value!r}; set LRTABLES_ALLOWED_HOSTS to accept others"
