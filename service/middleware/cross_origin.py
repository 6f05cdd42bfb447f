"""Lets web pages of other origins read responses (CORS): those that the settings list."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.responses import Fields, Headers, header, joined_field
from service.settings import ANY_ORIGIN, Settings

_ANY = ANY_ORIGIN.encode()
_METHODS = ("GET", "HEAD")
_EXPOSED = (
    b"Accept-Ranges, Content-Length, Content-Range, ETag, Location, Repr-Digest, Retry-After, WWW-Authenticate, "
    b"X-Request-ID"
)
_ALLOWED = b"Authorization, If-Match, If-None-Match, If-Range, Range, X-Request-ID"
_PREFLIGHT_SECONDS = b"7200"  # the longest that Chromium keeps an answer


class CrossOrigin:
    """The headers that let pages of the `cors_origins` read responses to GET and HEAD, and every error.

    What a page may not send it is not told the result of; why a request was rejected it may read, whatever its method.
    With one origin, or with any, the headers are the same for every request, whoever sends it, so that a shared cache
    may keep the response. With several they depend on the request's Origin, and `Vary` says so.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = {origin.encode() for origin in origins}
        self._varies = _ANY not in self._origins and len(self._origins) > 1
        self._always = _ANY if _ANY in self._origins else min(self._origins)
        self._vary: Headers = ((b"vary", b"Origin"),) if self._varies else ()

    @classmethod
    def of(cls, settings: Settings) -> CrossOrigin | None:
        """Return the headers for these settings; None if no other origin may read."""
        return cls(settings.cors_origins) if settings.cors_origins else None

    def headers(self, fields: Fields) -> Headers:
        """Return the headers to add to the response to a GET or HEAD with these headers, or to an error."""
        origin = self._allowed(joined_field(fields, b"origin"))
        if origin is None:
            return self._vary
        return ((b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), *self._vary)

    def lines(self, fields: Fields) -> bytes:
        """Return the same headers as lines, for a response that is written without the application."""
        return b"".join(b"%b: %b\r\n" % pair for pair in self.headers(fields))

    def preflight(self, scope: Scope) -> Headers | None:
        """Return the headers of the response to a preflight request; None for another request, or another origin."""
        if scope["method"] != "OPTIONS" or not header(scope, b"access-control-request-method"):
            return None
        origin = header(scope, b"origin")
        if origin not in self._origins and (not origin or self._always != _ANY):
            return None
        return (
            (b"access-control-allow-origin", _ANY if self._always == _ANY else origin),
            (b"access-control-allow-methods", ", ".join(_METHODS).encode()),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
            *self._vary,
        )

    def _allowed(self, origin: bytes) -> bytes | None:
        """Return the origin that may read; None if the one that asks may not."""
        if not self._varies:
            return self._always
        return origin if origin in self._origins else None


class CrossOriginMiddleware:
    """Adds the headers of `CrossOrigin` to responses, rejections and errors too, and answers preflight requests.

    A preflight request has no token, so this comes before the authentication. Starlette's CORSMiddleware leaves out
    `Vary` where a request has no Origin, and a shared cache would then give that response to a page.
    """

    def __init__(self, app: ASGIApp, cross_origin: CrossOrigin) -> None:
        self._app = app
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (preflight := self._cross_origin.preflight(scope)) is not None:
            await send({"type": "http.response.start", "status": 204, "headers": [*preflight]})
            await send({"type": "http.response.body", "body": b""})
            return
        may_read = scope["method"] in _METHODS
        added = self._cross_origin.headers(scope["headers"])

        async def allowed(message: Message) -> None:
            if message["type"] == "http.response.start" and (may_read or message["status"] >= HTTPStatus.BAD_REQUEST):
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, allowed)
