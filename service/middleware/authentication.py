"""The guard in front of the application: whose token allows what, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ForbiddenError, ServiceError, StorageError, UnauthenticatedError
from service.http import problems
from service.http.request_id import IDENTITY
from service.security import tokens
from service.security.authenticator import Authenticator, authorization
from service.security.rate_limits import Account, Limiter
from service.security.tokens import SCOPES, Identity

_OPEN = frozenset({"/", "/livez", "/readyz", "/v1/openapi.json"})
_TABLES = "/v1/tables"
CHECKS: Mapping[str, tokens.Scope] = {f"/v1/token/{scope}": scope for scope in SCOPES}
"""Where a proxy asks whether a token has a scope, before it serves a copy that it keeps or takes a body."""
_READS: Mapping[str, tokens.Scope | None] = {"/v1/lr": "compute", "/v1/token": None, **CHECKS}  # all else: read
_WRITES: Mapping[str, tokens.Scope] = {"POST": "compute", "PUT": "publish"}  # of tables; all else: admin
_NO_HOLDS = "max-age=1"  # so that a proxy keeps it in the place of a yes, which is then gone


class AuthenticationMiddleware:
    """Lets a request through to the application if its token allows it; `identity_of(scope)` then says whose it is.

    Health, the page of documentation and the OpenAPI document are open. GET and HEAD need `read`, and `/v1/lr`, which
    may compute, `compute`, as POST of a spec does; PUT of a table needs `publish`; whatever else there may be, `admin`.
    Where the spec names tables by their digests, the routes ask for `read`, too (`Identity.check_spec`).
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, limiter: Limiter) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] == "lifespan" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        header = authorization(scope["headers"])
        try:
            who = self._authenticator
            scope[IDENTITY] = who.recall(header) or await who.authenticate(header)
            send = self._admit(scope[IDENTITY], scope, send)
        except (ServiceError, StorageError) as error:
            await _refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, identity: Identity, scope: Scope, send: Send) -> Send:
        """Where the answer goes: to `send`, or past what charges for it. Raises what the request is refused with."""
        needed = _needed(scope)
        if needed is not None:
            identity.check(needed)
        return self._counted(identity, scope, send) if identity.limits.has_rates else send

    def _counted(self, identity: Identity, scope: Scope, send: Send) -> Send:
        account = self._limiter.account(identity)
        account.admit(self._limiter.clock())
        if not account.counts_bytes or scope["method"] == "HEAD":
            return send
        return _Charging(send, account, self._limiter)


class _Charging:
    """Sends, and charges an account for the bytes of the body: at once where their number is announced.

    To charge as they are sent would let any number of requests begin before the first one is paid for.
    """

    def __init__(self, send: Send, account: Account, limiter: Limiter) -> None:
        self._send = send
        self._account = account
        self._limiter = limiter
        self._announced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            lengths = [int(value) for name, value in message["headers"] if name == b"content-length"]
            self._announced = bool(lengths)
            self._charge(sum(lengths))
        elif not self._announced:
            self._charge(len(message.get("body", b"")))
        await self._send(message)

    def _charge(self, nbytes: int) -> None:
        self._account.charge(nbytes, self._limiter.clock())


def _is_open(scope: Scope) -> bool:
    return scope["path"] in _OPEN and not (scope["path"] == "/readyz" and scope["query_string"])


def _needed(scope: Scope) -> tokens.Scope | None:
    """The scope that a request needs; None where any token will do."""
    path: str = scope["path"]
    if scope["method"] in ("GET", "HEAD"):
        return _READS.get(path, "read")
    if path == _TABLES or path.startswith(_TABLES + "/"):
        return _WRITES.get(scope["method"], "admin")
    return "admin"


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    response = await problems.answer(Request(scope, receive), error)
    if isinstance(error, (UnauthenticatedError, ForbiddenError)) and scope["path"] in CHECKS:
        response.headers["cache-control"] = _NO_HOLDS
    if isinstance(error, UnauthenticatedError):
        was_sent = authorization(scope["headers"])
        response.headers["www-authenticate"] = problems.REALM + (', error="invalid_token"' if was_sent else "")
    await response(scope, receive, send)
