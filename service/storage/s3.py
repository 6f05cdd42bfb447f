"""Objects in a bucket of an S3-compatible store, which many servers may share."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore.store
from obstore.exceptions import AlreadyExistsError, BaseError
from pydantic import AnyHttpUrl

from service.errors import StorageError
from service.storage.store import Part, Stat, check_range, checked_key, is_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig  # they are only there for type checkers

_AFTER_EVERY_KEY = "~"  # sorts after every key
_STATUS = re.compile(r"status code: (\d{3}[\w ]*)")


class S3Store:
    """An `ObjectStore` in a bucket. Endpoint and credentials are read from the `AWS_...` variables.

    An object is created by one conditional request (`If-None-Match: *`): of many servers that put it, one creates it.
    Damaged objects are kept under `damaged/`.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`; the bucket must exist.
        timeout_seconds: for one request, all its repetitions included.

    Raises `StorageError` if the variables are invalid.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self.url = url
        _check_endpoint()
        try:
            self._bucket = _open(url, timeout_seconds)
        except BaseError as error:
            raise StorageError(f"the AWS_... variables are invalid: {str(error).splitlines()[0]}") from error

    def get(self, key: str) -> memoryview | None:
        # docstring inherited
        with _store_errors():
            try:
                return memoryview(self._bucket.get(checked_key(key)).bytes())
            except FileNotFoundError as error:
                _check_bucket(error)
                return None

    def stat(self, key: str) -> Stat | None:
        # docstring inherited
        with _store_errors():
            try:
                found = self._bucket.head(checked_key(key))
            except FileNotFoundError as error:
                _check_bucket(error)
                return None
        modified = found[
            "last_modified"
        ].timestamp()  # part of the version: an object that decays on disk keeps its ETag
        return Stat(found["size"], f"{found['e_tag']} {modified}", modified)

    def read(self, key: str, start: int, stop: int) -> memoryview | None:
        # docstring inherited
        check_range(start, stop)
        with _store_errors():
            try:
                return memoryview(self._bucket.get_range(checked_key(key), start=start, end=stop))
            except FileNotFoundError as error:
                _check_bucket(error)
                return None
            except BaseError as error:
                if _status(error).startswith("416"):  # it ends before `start`
                    return memoryview(b"")
                raise

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        # docstring inherited
        with _store_errors():
            try:
                self._bucket.put(checked_key(key), list(parts), mode="create")
            except AlreadyExistsError:
                return self._is_taken(key)
            return True

    def _is_taken(self, key: str) -> bool:
        """Return False, the result of `put`, after the object that took the key was seen."""
        if self.stat(key) is None:
            raise StorageError("the object store says that the object exists, and then that it does not")
        return False

    def quarantine(self, key: str, version: str) -> None:
        """Move a damaged object out of the way, see `ObjectStore.quarantine`.

        obstore has no conditional delete: an object that takes the key between the last `stat` and the `delete` is
        deleted.
        """
        name = checked_key(key).rpartition("/")[2]
        copy = f"damaged/{name}.{secrets.token_hex(4)}"
        with _store_errors():
            try:
                self._bucket.copy(key, copy)
            except FileNotFoundError as error:
                _check_bucket(error)
                return
            found = self.stat(key)
            self._bucket.delete(key if found is not None and found.version == version else copy)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        # docstring inherited
        with _store_errors():
            for page in self._bucket.list(prefix.rpartition("/")[0]):
                for item in page:
                    key = item["path"]
                    if is_key(key) and key.startswith(prefix):
                        yield key, item["size"]

    def delete(self, key: str) -> None:
        # docstring inherited
        with _store_errors():
            self._bucket.delete(checked_key(key))

    def check(self) -> None:
        """Return if the store answers and lets us list the bucket. Whether it is full shows only in a `put`."""
        with _store_errors():
            for _ in self._bucket.list(offset=_AFTER_EVERY_KEY):
                pass

    def close(self) -> None:
        """Do nothing: the bucket is shared, and never locked."""


def _check_endpoint() -> None:
    """Raise `StorageError` for a malformed address, with which every request would panic in obstore."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        value = os.environ.get(name, "")
        if "@" in value:
            raise StorageError(f"{name} must hold no name or password: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if value and not _is_http(value):
            raise StorageError(f"{name} must be like https://host:port, got {value!r}")


def _is_http(address: str) -> bool:
    try:
        AnyHttpUrl(address)
    except ValueError:
        return False
    return True


def _open(url: str, timeout_seconds: float) -> obstore.store.S3Store:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return obstore.store.S3Store(
        bucket,
        prefix=prefix or None,
        client_options=_client_options(timeout_seconds),
        retry_config=_retry_config(timeout_seconds),
        # Not every store verifies the body against the signature; every store verifies an explicit checksum.
        checksum_algorithm=os.environ.get("AWS_CHECKSUM_ALGORITHM", "SHA256"),
        disable_bulk_delete=True,  # some S3-compatible stores can only delete one object at a time
    )


def _client_options(timeout_seconds: float) -> ClientConfig:
    attempt = timedelta(seconds=timeout_seconds / 2)
    # Options given here override the variables, so this one, which a store inside a cluster needs, is read again.
    allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    return {"timeout": attempt, "connect_timeout": attempt, "allow_http": allow_http}


def _retry_config(timeout_seconds: float) -> RetryConfig:
    """Stop repeating early enough for the last attempt, which takes half of the time at most, to end in time."""
    pause = timedelta(seconds=timeout_seconds / 10)
    return {
        "max_retries": 10,
        "retry_timeout": timedelta(seconds=timeout_seconds / 2) - pause,
        "backoff": {"init_backoff": pause / 10, "max_backoff": pause, "base": 2},
    }


@contextmanager
def _store_errors() -> Iterator[None]:
    """Translate obstore's errors. Their text names addresses, which belong in the log and not in a response."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        status = _status(error)
        raise StorageError(f"the object store {f'answers {status}' if status else 'does not answer'}") from error


def _check_bucket(error: FileNotFoundError) -> None:
    """Return if the object was not found; raise the error if the bucket was not found."""
    if "NoSuchBucket" in str(error):
        raise error


def _status(error: Exception) -> str:
    """Return the HTTP status of the store's response; empty if there was none."""
    found = _STATUS.search(str(error))
    return found[1] if found else ""
