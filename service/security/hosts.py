"""The hosts that requests may name: a page of another site must not reach a server that asks for no tokens.

Such a page can let its own name lead to the loopback (DNS rebinding). The browser then takes this server for the page's
own, and sends whatever the page likes; but it names the page's host.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from service.errors import abbreviate
from service.settings import ANY_HOST, Settings, is_loopback

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+?)\.?(?::[0-9]*)?")
_MOST = 256  # hosts that are remembered, and characters of one


class Hosts:
    """Which Host headers are let through, whatever their port.

    `localhost`, the addresses of the loopback, the server's own host and its `allowed_hosts` are. Where the server
    listens beyond the loopback, any address is: a page cannot let one lead elsewhere. By default any host is, where the
    server asks for tokens, which such a page does not have, or listens beyond the loopback: its names are not known.
    """

    def __init__(self, settings: Settings) -> None:
        allowed = settings.allowed_hosts
        if allowed is None and (settings.asks_for_tokens or not is_loopback(settings.host)):
            allowed = (ANY_HOST,)
        self._any = ANY_HOST in (allowed or ())
        self._names = {"localhost", settings.host.lower(), *(allowed or ())}
        self._is_local = is_loopback(settings.host)
        self._remembered = lru_cache(_MOST)(self._allow)

    def allow(self, host: bytes) -> bool:
        """Whether a request with this Host header is let through."""
        if self._any:
            return True
        return (self._remembered if len(host) <= _MOST else self._allow)(host)

    def _allow(self, host: bytes) -> bool:
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
        """What is said to who named another host."""
        named, own = abbreviate(host.decode("latin-1")), ", ".join(sorted(self._names))
        return f"this server is not {named!r}, but {own}; LRTABLES_ALLOWED_HOSTS gives it other names"
