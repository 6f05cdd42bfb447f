"""The application: everything meets here and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from service import openapi, problems
from service.front import Front
from service.manifest import VERSION
from service.routes import health, schedules, tables
from service.routes.parts import Server
from service.settings import Settings
from service.specs import SpecReader
from service.storage.local import LocalStore
from service.tables import TableService
from service.threads import Threads


def create_app(settings: Settings) -> ASGIApp:
    """The server as an ASGI application, its data directory open and locked until the application's shutdown.

    Raises `StorageError` where the data directory cannot be used, or another server uses it.
    """
    store = LocalStore(settings.data_dir)
    threads = Threads()
    service = TableService(store, threads, settings.memory_bytes)
    server = Server(settings, store, threads, SpecReader(settings, threads), service)
    app = FastAPI(
        title="lrtables",
        version=VERSION,
        description="Learning-rate schedules as tables: computed once, named by their values.",
        lifespan=_lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's pages of documentation load their scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = server
    for module in (tables, schedules, health):
        app.include_router(module.router)
    problems.install(app)
    openapi.install(app)
    return Front(app, server)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    server: Server = app.state.server
    server.threads.close()
    server.store.close()
