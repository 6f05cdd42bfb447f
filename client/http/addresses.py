"""The address of a service, and the token that is sent to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import urllib3
from urllib3.exceptions import LocationParseError

_VISIBLE = re.compile(r"[!-~]+")  # ASCII without spaces and control characters

GivenToken = str | Callable[[], str] | None
"""A token, a function that returns the current one, or None for what the environment says."""


def parsed_url(base_url: object) -> urllib3.util.Url:
    """The URL of a service, checked. Raises `ValueError` for what is none, and for one that holds a password."""
    if not isinstance(base_url, str):  # None, say, of an environment variable that is not set
        raise ValueError(f"base_url must be like 'http://127.0.0.1:8000', got {base_url!r}")  # noqa: TRY004  # as for any other
    if "@" in base_url:
        raise ValueError("base_url must hold no '@': a name and password in it would be shown; give a token by token=")
    try:
        url = urllib3.util.parse_url(base_url)
    except LocationParseError:
        url = urllib3.util.Url()
    plain = _VISIBLE.fullmatch(base_url) and not set("?#\\") & set(base_url)
    if url.scheme not in ("http", "https") or not url.host or url.auth or not plain:
        raise ValueError(f"base_url must be like 'http://127.0.0.1:8000', got {base_url!r}")
    return url


class Token:
    """The token that goes with each request. It is read again when the service refuses the one that was sent.

    Args:
        given: the token, or a function that returns the current one. None for `LRTABLES_TOKEN`, else the content of
            the file that `LRTABLES_TOKEN_FILE` names, else no token. Raises `ValueError` for what no header can hold,
            without showing it, and where the file cannot be read.
    """

    def __init__(self, given: GivenToken = None) -> None:
        self._given = given
        self._current = self._read()

    @property
    def is_sent(self) -> bool:
        """Whether there is a token."""
        return self._current is not None

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries the token; empty where there is none."""
        return {} if self._current is None else {"Authorization": f"Bearer {self._current}"}

    def renew(self, refused: dict[str, str]) -> bool:
        """Read the token again. Returns whether it is another than the one in the refused headers."""
        self._current = self._read()
        return self._current is not None and self.headers != refused

    def _read(self) -> str | None:
        if self._given is None:
            return _of_environment()
        return checked_token(self._given() if callable(self._given) else self._given)


def _of_environment() -> str | None:
    """The token that the environment gives. An empty variable counts as none."""
    if text := os.environ.get("LRTABLES_TOKEN"):
        return checked_token(text)
    if not (path := os.environ.get("LRTABLES_TOKEN_FILE")):
        return None
    try:
        return checked_token(Path(path).read_text(encoding="ascii", errors="replace").strip())
    except OSError as error:
        raise ValueError(f"LRTABLES_TOKEN_FILE cannot be read: {error}") from error


def checked_token(token: object) -> str:
    """The token, if a header can hold it. Raises `ValueError`, which does not show it."""
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):
        raise ValueError("token (or LRTABLES_TOKEN) must be printable ASCII without spaces and line ends; it is not")
    return token
