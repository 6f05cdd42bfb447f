"""The explorer's files and its Content-Security-Policy."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from service.explorer.catalogue import catalogue_json

FOLDER = Path(__file__).parent
PAGE = "index.html"
CATALOGUE = "catalogue.json"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: everything comes from the server itself, nothing is inline."""


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
    files = {
        path.relative_to(FOLDER).as_posix(): _asset(_TYPES[path.suffix], path.read_bytes())
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }
    return MappingProxyType({**files, CATALOGUE: _asset("application/json", catalogue_json().encode())})


def _asset(content_type: str, body: bytes) -> Asset:
    name = sha256(body).hexdigest()
    return Asset(content_type, body, f'"{name}"', gzip.compress(body, mtime=0), f'"{name}-gzip"')
