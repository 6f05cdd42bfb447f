"""Open the object store that the settings name."""

from __future__ import annotations

from service.errors import StorageError
from service.settings import Settings
from service.storage.local import LocalStore
from service.storage.store import ObjectStore


def open_store(settings: Settings, *, exclusive: bool = True) -> ObjectStore:
    """Return the store at `store_url`, or the one in the data directory if there is no `store_url`.

    `exclusive` locks the data directory for writing, see `LocalStore`; a bucket is shared and never locked. Raises
    `StorageError` if the store cannot be opened.
    """
    if settings.store_url is None:
        return LocalStore(settings.data_dir, exclusive=exclusive)
    try:
        from service.storage.s3 import S3Store  # noqa: PLC0415  # only this store needs the s3 extra
    except ModuleNotFoundError as error:
        raise StorageError("the S3-compatible store needs obstore: pip install 'lrtables[s3]'") from error
    return S3Store(settings.store_url, timeout_seconds=settings.store_seconds)
