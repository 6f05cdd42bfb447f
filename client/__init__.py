"""The client of a training job: fetch a table, verify it, apply it. No torch at import."""

# package of the distribution lrtables

from client.client import Client
from client.errors import (
    ClientError,
    DeadlineExceededError,
    DigestMismatchError,
    FieldError,
    NotAllowedError,
    RequestRefusedError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)

__all__ = [
    "Client",
    "ClientError",
    "DeadlineExceededError",
    "DigestMismatchError",
    "FieldError",
    "NotAllowedError",
    "RequestRefusedError",
    "ServiceUnreachableError",
    "UnexpectedResponseError",
]
