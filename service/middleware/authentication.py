"""Authentication middleware: checks each request's token, its scope and its rate limits."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ForbiddenError, ServiceError, StorageError, UnauthenticatedError
from service.http import problems
from service.http.request_id import IDENTITY
from service.http.responses import Fields
from service.routes.declaration import Access
from service.routes.registry import Match, Routes
from service.security import tokens
from service.security.authenticator import Authenticator, authorization
from service.security.rate_limits import Account, Limiter
from service.security.tokens import SCOPES, Identity

_NOT_ALLOWED = "max-age=1"  # a proxy caches the rejection, which replaces an earlier cached success


class AuthenticationMiddleware:
    """Passes a request on if its token allows it. `identity_of(scope)` is then the identity of the token.

    The scope that a request needs is declared with its route. Without a route, GET and HEAD need `read`, and everything
    else `admin`. For a spec that refers to tables by digest, the routes also require `read` (`Identity.check_spec`).
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, limiter: Limiter, routes: Routes) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limiter = limiter
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""
        match = None if scope["type"] == "lifespan" else self._routes.match(scope["method"], scope["path"])
        if scope["type"] == "lifespan" or _is_open(match, scope):
            await self._app(scope, receive, send)
            return
        header = authorization(scope["headers"])
        try:
            authenticator = self._authenticator
            scope[IDENTITY] = authenticator.cached_identity(header) or await authenticator.authenticate(header)
            send = self._admit(scope[IDENTITY], match, scope, send)
        except (ServiceError, StorageError) as error:
            response = await _refusal(error, match, Request(scope, receive))
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def admit_cached(self, method: str, path: str, headers: Fields) -> Identity | None:
        """Return the identity of a cached token without rate limits that allows the request; else None.

        For None, `__call__` must decide. It may have to query the database.
        """
        identity = self._authenticator.cached_identity(authorization(headers))
        if identity is None or identity.limits.has_rates:
            return None
        match = self._routes.match(method, path)
        needed = _needed_scope(match, method)
        return identity if needed is None or identity.allows(needed, _namespace(match)) else None

    def _admit(self, identity: Identity, match: Match | None, scope: Scope, send: Send) -> Send:
        """Check the scope and the rate limits. Return `send`, wrapped to charge for the response's bytes if needed."""
        needed = _needed_scope(match, scope["method"])
        if needed is not None:
            identity.check(needed, namespace=_namespace(match))
        return self._counted(identity, scope, send) if identity.limits.has_rates else send

    def _counted(self, identity: Identity, scope: Scope, send: Send) -> Send:
        account = self._limiter.account(identity)
        account.admit(self._limiter.clock())
        if not account.counts_bytes or scope["method"] == "HEAD":
            return send
        return _Charging(send, account, self._limiter)


class _Charging:
    """A `send` that charges an account for the bytes of the body: all of them with the head if it has a Content-Length.

    Charging while they are sent would admit any number of requests before the first one is charged.
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


def _is_open(match: Match | None, request: Scope) -> bool:
    """Return whether a request needs no token. An open path is open for every method, even without a route."""
    if match is None or not match.route.is_open:
        return False
    return match.route.scope is Access.OPEN or not request["query_string"]


def _needed_scope(match: Match | None, method: str) -> tokens.Scope | None:
    """Return the scope that a request's token needs; None if any valid token is sufficient."""
    if match is not None and match.has_method:
        if match.route.scope is Access.ANY_TOKEN:
            return None
        if _is_check(match):
            return cast(tokens.Scope, match.parameters["scope"])
        if not isinstance(match.route.scope, Access):
            return match.route.scope
    return "read" if method in ("GET", "HEAD") else "admin"


def _namespace(match: Match | None) -> str | None:
    return None if match is None else match.route.namespace_of(match.parameters)


def _is_check(match: Match) -> bool:
    """Return whether this is a proxy's check of a token's scope, before it serves a cached response or reads a body."""
    return match.route.scope is Access.SCOPE_IN_PATH and match.parameters["scope"] in SCOPES


async def _refusal(error: Exception, match: Match | None, request: Request) -> Response:
    response = await problems.problem_response(request, error)
    if isinstance(error, (UnauthenticatedError, ForbiddenError)) and match is not None and _is_check(match):
        response.headers["cache-control"] = _NOT_ALLOWED
    if isinstance(error, UnauthenticatedError):
        was_sent = authorization(request.scope["headers"])
        response.headers["www-authenticate"] = problems.REALM + (', error="invalid_token"' if was_sent else "")
    return response
