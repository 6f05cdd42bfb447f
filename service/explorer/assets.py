"""The explorer's files and its Content-Security-Policy."""

from __future__ import annotations

import gzip
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from service.explorer.catalogue import catalogue_json

FOLDER = Path(__file__).parent
PAGE = "index.html"
ENTRY = "main.js"
EMBEDDED = "embedded.html"
"""The page as it may be shown in a frame: it has the curve, and nothing that changes anything on the server."""
CATALOGUE = "catalogue.json"
_MODULES = "<!-- modules -->\n"
_IMPORTED = re.compile(r'^(?:import|export)\b[^"]* from "(\.[^"]+)"', re.MULTILINE)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
)
POLICY = _POLICY + "'none'"
"""The page's Content-Security-Policy: everything comes from the server itself, nothing is inline, and no page may show
it in a frame, where its buttons could be clicked by somebody who does not see them."""


def embedded_policy(origins: Sequence[str]) -> str:
    """Return the policy of the embedded page, which pages of the server itself and of these origins may frame."""
    return _POLICY + " ".join(["'self'", *origins])


@dataclass(frozen=True)
class Asset:
    """A file of the page.

    Args:
        content_type: its media type.
        body: its bytes.
        etag: a strong entity tag: the SHA-256 of the bytes, in quotes.
        compressed: the bytes as gzip has them, a quarter of the length.
        compressed_etag: the strong entity tag of these.
    """

    content_type: str
    body: bytes
    etag: str
    compressed: bytes
    compressed_etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file of the page by its path below `/explorer/`, with the catalogue of kinds and recipes."""
    paths = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in _TYPES]
    bodies = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in paths}
    bodies[PAGE] = _preloading(bodies[PAGE].decode(), modules_of(ENTRY, bodies)).encode()
    files = {path: _asset(_TYPES[Path(path).suffix], body) for path, body in bodies.items()}
    files[EMBEDDED] = _asset(_TYPES[".html"], files[PAGE].body.replace(b"<html ", b"<html data-embedded ", 1))
    return MappingProxyType({**files, CATALOGUE: _asset("application/json", catalogue_json().encode())})


def modules_of(entry: str, bodies: Mapping[str, bytes]) -> list[str]:
    """Return the paths of all modules that a module needs, itself included, each after those that it imports."""
    ordered: dict[str, None] = {}
    _collect(entry, bodies, set(), ordered)
    return list(ordered)


def _collect(path: str, bodies: Mapping[str, bytes], seen: set[str], ordered: dict[str, None]) -> None:
    seen.add(path)
    for target in _IMPORTED.findall(bodies[path].decode()):
        module = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if module not in seen:
            _collect(module, bodies, seen, ordered)
    ordered[path] = None


def _preloading(page: str, modules: list[str]) -> str:
    """Return the page with a link to each module: the browser asks for all at once, not for one after another."""
    links = "".join(f'<link rel="modulepreload" href="explorer/{path}">\n' for path in modules)
    return page.replace(_MODULES, links, 1)


def _asset(content_type: str, body: bytes) -> Asset:
    name = sha256(body).hexdigest()
    return Asset(content_type, body, f'"{name}"', gzip.compress(body, mtime=0), f'"{name}-gzip"')
