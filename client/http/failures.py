"""The one place where errors of sockets, TLS, http.client and urllib3 become ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import IncompleteRead

from urllib3.exceptions import ProtocolError

from client.errors import ClientError, DeadlineExceededError, ServiceUnreachableError, UnexpectedResponseError
from client.http.connections import ResponseError


@contextmanager
def translated(method: str, url: str) -> Iterator[None]:
    """Raise what fails inside as a `ClientError` that names the request; the original is its cause."""
    try:
        yield
    except ClientError:
        raise
    except TimeoutError as error:
        raise DeadlineExceededError(f"{method} {url} was not answered in time ({error})") from error
    except ResponseError as error:
        raise UnexpectedResponseError(f"the response to {method} {url} is refused: {error}") from error
    except Exception as error:
        kind = ServiceUnreachableError if _is_broken_connection(error) else UnexpectedResponseError
        raise kind(f"{method} {url} failed: {_said(error)}") from error


def _is_broken_connection(error: Exception) -> bool:
    """Whether the connection failed, as opposed to a response that is invalid."""
    if isinstance(error, ssl.SSLError):  # a certificate, a protocol: the next attempt would find them as they are
        return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return isinstance(_cause(error), (OSError, IncompleteRead))


def _cause(error: Exception) -> Exception:
    """The error that urllib3 wrapped in one that says "Connection broken"."""
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    return inner if isinstance(inner, Exception) else error


def _said(error: Exception) -> str:
    return str(_cause(error)) or type(error).__name__
