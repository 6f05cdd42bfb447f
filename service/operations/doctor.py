"""Checks of everything that a server needs to start. Each part is checked on its own, and nothing is changed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from scheduler.texts import near_names
from service.database.metadata import metadata_of
from service.errors import StorageError
from service.observability import tracing
from service.server.file_limit import raise_file_limit
from service.settings import Settings, token_command
from service.storage.open import open_store

State = Literal["ok", "warning", "failed"]
Finding = tuple[State, str]

_PREFIX = Settings.model_config["env_prefix"]
_CLIENT_SETTINGS = {"url", "token", "token_file", "cache", "cache_bytes", "offline"}
_SIMILARITY = 0.75  # of an unknown name to a setting's, from which on it counts as a typo
EXTRAS = {
    "service": ("fastapi", "uvicorn", "uvloop", "httptools", "sqlalchemy", "alembic", "prometheus-client"),
    "postgres": ("psycopg",),
    "s3": ("obstore",),
    "otel": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
}
"""The packages that each extra of our distribution installs for the server."""
_ALWAYS = ("lrtables", "numpy", "pydantic")
_PROBE_SECONDS = 2


class Check(NamedTuple):
    """The result of a check: what was checked, its state, and details. Only `failed` keeps a server from working."""

    name: str
    state: State
    detail: str


class Source(NamedTuple):
    """A setting's value, without secrets, and where it comes from."""

    value: Any
    source: str


def checks(settings: Settings) -> Iterator[Check]:
    """Run all checks for a server with these settings."""
    yield from unknown_variables(os.environ)
    for name, check in _CHECKS.items():
        yield _run(name, check, settings)


def sources(settings: Settings, given: Mapping[str, object]) -> dict[str, Source]:
    """Return the source of every setting by its name. `given` are the arguments; those that are None were not given."""
    set_by = dict.fromkeys(type(settings).model_fields, "default")
    if settings.config is not None:
        set_by |= dict.fromkeys(tomllib.loads(settings.config.read_text(encoding="utf-8")), str(settings.config))
    set_by |= {name: f"{_PREFIX}{name.upper()}" for name in _variables(os.environ) if name in set_by}
    set_by |= {name: "argument" for name, value in given.items() if name in set_by and value is not None}
    values = settings.model_dump(mode="json")
    return {name: Source(values[name], source) for name, source in set_by.items()}


def _run(name: str, check: Callable[[Settings], Finding], settings: Settings) -> Check:
    try:
        return Check(name, *check(settings))
    except (StorageError, OSError, ValueError) as error:
        return Check(name, "failed", str(error))


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with our prefix: names of settings, mapped to the variables' own spelling."""
    names = [name for name in environment if name.upper().startswith(_PREFIX)]
    return {name[len(_PREFIX) :].lower(): name for name in names}


def unknown_variables(environment: Mapping[str, str]) -> Iterator[Check]:
    """Yield variables with our prefix that are no setting: `failed` for a likely typo, `warning` for others."""
    settings = set(Settings.model_fields) | _CLIENT_SETTINGS
    for name, spelling in sorted(_variables(environment).items()):
        if name in settings:
            continue
        similar = near_names(name, settings, most=1, alike=_SIMILARITY)
        if similar:
            yield Check("variables", "failed", f"{spelling} is no setting: did you mean {_PREFIX}{similar[0].upper()}?")
        else:
            yield Check("variables", "warning", f"{spelling} is no setting, and is ignored")


def _data_directory(settings: Settings) -> Finding:
    """Check that a file can be created in the data directory, or in its nearest existing parent."""
    directory = settings.data_dir.absolute()
    there = next(path for path in (directory, *directory.parents) if path.exists())
    with tempfile.TemporaryFile(dir=there) as probe:
        probe.write(bytes(4096))
    free = shutil.disk_usage(there).free
    state: State = "ok" if free > 2 * settings.max_table_bytes else "warning"
    created = "" if there == directory else ", created at the first start"
    return state, f"{directory}{created}, {free // 10**6} MB free"


def _store(settings: Settings) -> Finding:
    if settings.store_url is None:
        return _try_link(settings.data_dir)
    with closing(open_store(settings, exclusive=False)) as store:
        store.check()
        return "ok", f"{store.url} works"


def _try_link(directory: Path) -> Finding:
    """Check that a file can be linked from one directory to the other: that is how a written table gets its name."""
    written, named = (directory / name if (directory / name).exists() else directory for name in ("tmp", "tables"))
    if directory.is_dir():
        try:
            with tempfile.NamedTemporaryFile(dir=written) as probe:
                link = named / f"{Path(probe.name).name}.link"
                os.link(probe.name, link)
                link.unlink()
        except OSError as error:
            return "failed", f"a file in {written} cannot be linked into {named}: {error.strerror}"
    return "ok", "in the data directory"


def _database(settings: Settings) -> Finding:
    with closing(metadata_of(settings)) as metadata:
        if not metadata.exists:
            return "ok", f"{metadata.url}, created at the first start"
        current = metadata.usable_revision()
        return "ok", f"{metadata.url} works, {f'at revision {current}' if current else 'empty until the first start'}"


def _tokens(settings: Settings) -> Finding:
    if settings.is_exposed:
        return (
            "failed",
            f"not required on {settings.host}, which other machines can reach: "
            "require them, or permit that with --insecure-no-auth",
        )
    if not settings.requires_tokens:
        return "ok", f"not required on {settings.host}"
    with closing(metadata_of(settings)) as metadata:
        tokens = metadata.tokens.every_token() if metadata.status()[0] is not None else []
    valid = [token for token in tokens if token.state(time.time()) == "valid"]
    if not valid:
        return "failed", f"required, but none is valid; create one: {token_command(settings)}"
    return "ok", f"required, {len(valid)} valid"


def _port(settings: Settings) -> Finding:
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return "ok", f"{host} port {port} is free" if port else f"a free port of {host} is chosen at the start"
    except OSError as error:
        if _is_ours(host, port):
            return "ok", f"{host} port {port}: a server of lrtables is running there"
        return "failed", f"{host} port {port}: {error.strerror}"


def _is_ours(host: str, port: int) -> bool:
    """Return whether a server of lrtables is running on the port."""
    url = f"http://[{host}]:{port}/livez" if ":" in host else f"http://{host}:{port}/livez"
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as response:
            return bool(json.loads(response.read(1000)) == {"status": "ok"})
    except (OSError, ValueError):
        return False


def _open_files(settings: Settings) -> Finding:
    raise_file_limit(settings.max_connections)
    return "ok", f"enough for {settings.max_connections} connections"


def _packages(settings: Settings) -> Finding:
    """Check that the extras that the settings need are installed, and list the versions of all packages."""
    found = {name: _version(name) for names in (_ALWAYS, *EXTRAS.values()) for name in names}
    missing = [extra for extra, names in EXTRAS.items() if None in map(found.get, names)]
    needed = [extra for extra in missing if _needs(extra, settings)]
    versions = ", ".join(f"{name} {number}" for name, number in found.items() if number is not None)
    installed = f"Python {platform.python_version()}, {versions}"
    if needed:
        return "failed", f"the settings need pip install 'lrtables[{','.join(needed)}]'; {installed}"
    return "ok", f"{installed}; without {', '.join(missing)}" if missing else installed


def _uvicorn(settings: Settings) -> Finding:
    """Check that the installed uvicorn has the private names that our connections use."""
    try:
        from service.server.uvicorn_adapter import SUPPORTED, check_uvicorn  # noqa: PLC0415  # may fail at import

        check_uvicorn()
    except ImportError as error:
        return "failed", str(error)
    return "ok", f"uvicorn {_version('uvicorn')} has everything that connections use (tested: {SUPPORTED})"


def _needs(extra: str, settings: Settings) -> bool:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    needs = {"postgres": url.startswith("postgres"), "s3": settings.store_url is not None, "otel": tracing.is_wanted()}
    return needs.get(extra, True)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_CHECKS: Mapping[str, Callable[[Settings], Finding]] = {
    "packages": _packages,
    "uvicorn": _uvicorn,
    "data directory": _data_directory,
    "store": _store,
    "database": _database,
    "tokens": _tokens,
    "port": _port,
    "open files": _open_files,
}
