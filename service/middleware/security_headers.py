"""Security headers on every response."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOSNIFF = (b"x-content-type-options", b"nosniff")


class SecurityHeadersMiddleware:
    """Adds `X-Content-Type-Options: nosniff` to every response, so that browsers do not guess media types."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start" and NOSNIFF not in message["headers"]:
                message = {**message, "headers": [*message["headers"], NOSNIFF]}
            await send(message)

        await self._app(scope, receive, secured)
