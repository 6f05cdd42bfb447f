"""Which store the settings open."""

import sys
from pathlib import Path

import pytest

from service.errors import StorageError
from service.settings import Settings
from service.storage.local import DirectoryInUseError, LocalStore
from service.storage.open import open_store
from service.storage.s3 import S3Store


def test_without_a_url_the_data_directory_is_opened(tmp_path: Path) -> None:
    """Without `store_url` the store is in the data directory, with one owner and any number of readers."""
    store = open_store(Settings(data_dir=tmp_path))
    assert isinstance(store, LocalStore)
    assert store.url == tmp_path.as_uri()
    with pytest.raises(DirectoryInUseError, match="another server uses"):
        open_store(Settings(data_dir=tmp_path))
    open_store(Settings(data_dir=tmp_path), exclusive=False).close()
    store.close()


def test_with_a_url_the_bucket_is_opened(tmp_path: Path) -> None:
    """With `store_url` the store is the bucket; the data directory stays empty, and no request is sent yet."""
    store = open_store(Settings(data_dir=tmp_path, store_url="s3://bucket/some/prefix"))
    assert isinstance(store, S3Store)
    assert store.url == "s3://bucket/some/prefix"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without obstore the error says how to install it."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.delitem(sys.modules, "service.storage.s3")
    with pytest.raises(StorageError, match=r"needs obstore: pip install 'lrtables\[s3\]'"):
        open_store(Settings(data_dir=tmp_path, store_url="s3://bucket"))
