"""The application: builds the server's parts and connects them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from fastapi import FastAPI
from starlette.types import ASGIApp

from scheduler import KINDS
from service.concurrency.executors import Executors
from service.database.metadata import open_metadata
from service.documentation import openapi
from service.http import problems
from service.http.body import Bodies
from service.middleware.authentication import AuthenticationMiddleware
from service.middleware.cached_responses import CachedResponses
from service.middleware.cross_origin import CrossOrigin, CrossOriginMiddleware
from service.middleware.security_headers import SecurityHeadersMiddleware
from service.middleware.table_shortcut import TableShortcut
from service.middleware.telemetry import RequestRecorder, Telemetry
from service.observability import tracing
from service.observability.metrics import Metrics
from service.representations.plots.pictures import Pictures
from service.representations.specs import SpecReader
from service.representations.table_responses import TableResponder, TextResponder
from service.representations.uploads import Uploads
from service.routes.registry import ROUTES, Routes
from service.runs.amendments import AmendmentService
from service.runs.feed import ChangeFeed
from service.runs.progress import ProgressService
from service.runs.proposals import ProposalService
from service.runs.service import RunService
from service.security.authenticator import Authenticator
from service.security.rate_limits import Limiter
from service.server.fast_path import FastPath
from service.settings import VERSION, Settings
from service.state import ServerState
from service.storage.open import open_store
from service.tables.service import TableService
from service.workers.pool import Workers


def open_server(settings: Settings, workers: Workers | None = None) -> ServerState:
    """Open the store and the metadata, and return all parts of a server. Without `workers` it starts its own.

    Raises `StorageError` if they cannot be opened, or another server uses the data directory.
    """
    KINDS.load()
    store = open_store(settings)
    try:
        metadata = open_metadata(settings)
    except BaseException:
        store.close()
        raise
    executors = Executors()
    tables = TableService(store, metadata.tables, executors, workers or Workers(), settings, TableResponder(executors))
    feed = ChangeFeed(metadata.changes, executors, settings.max_waiting)
    runs = RunService(metadata, tables, executors, feed)
    amendments = AmendmentService(runs, tables, executors, settings)
    return ServerState(
        settings,
        store,
        metadata,
        executors,
        Bodies(settings.max_body_bytes),
        SpecReader(settings, executors),
        tables,
        TextResponder(executors),
        Pictures(executors),
        runs,
        amendments,
        ProposalService(metadata, runs, amendments, executors, feed),
        ProgressService(metadata, runs, executors, feed),
        Uploads(settings, executors),
        feed,
        Metrics(),
        Counter[str](),
    )


class Application(NamedTuple):
    """The ASGI application of a server, and the fast path that its connections try first."""

    asgi: ASGIApp
    fast_path: FastPath


def create_app(server: ServerState, routes: Routes = ROUTES) -> ASGIApp:
    """Return the ASGI application of a server with these routes. It closes the server's parts at its shutdown."""
    return assemble(server, routes).asgi


def assemble(server: ServerState, routes: Routes = ROUTES) -> Application:
    """Build the application of a server with these routes. It closes the server's parts at its shutdown."""
    framework = FastAPI(
        title="lrtables",
        version=VERSION,
        description="Learning-rate schedules as tables: computed once, identified by the SHA-256 of their values.",
        lifespan=_lifespan,
        openapi_url=None,  # we have our own route: FastAPI's documentation pages load scripts from the internet
        redirect_slashes=False,
        telemetry=tracing.telemetry(),
    )
    framework.state.server = server
    for route in routes:
        route.add_to(framework)
    problems.install(framework)
    openapi.install(framework, routes, requires_tokens=server.settings.requires_tokens)
    cached, recorder = CachedResponses(server), RequestRecorder(server.metrics, routes)
    app: ASGIApp = TableShortcut(SecurityHeadersMiddleware(framework), server, cached)
    authentication = None
    framework.state.authenticator = None
    if server.settings.requires_tokens:
        authenticator = Authenticator(server.metadata.tokens, server.executors)
        framework.state.authenticator = authenticator
        app = authentication = AuthenticationMiddleware(app, authenticator, Limiter(), routes)
    if (cross_origin := CrossOrigin.of(server.settings)) is not None:
        app = CrossOriginMiddleware(app, cross_origin)
    return Application(Telemetry(app, recorder), FastPath(cached, recorder, authentication, cross_origin))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    server: ServerState = app.state.server
    server.tables.computations.workers.prepare()
    yield
    await server.feed.close()
    close_server(server)


def close_server(server: ServerState) -> None:
    """Stop all computations, wait for other active work, and close the store and the metadata."""
    server.tables.computations.close()
    server.executors.close()
    server.metadata.close()
    server.store.close()
