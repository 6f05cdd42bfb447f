"""Records of which table a spec has."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler import Spec
from service.records import Record, origin_key, read_record, spec_key
from service.storage.local import LocalStore


@pytest.fixture
def record(spec: dict[str, Any]) -> Record:
    return Record(Spec.model_validate_json(json.dumps(spec)), "ab" * 32)


def test_a_record_reads_back(record: Record) -> None:
    """What is written is what is read."""
    assert Record.from_bytes(memoryview(record.to_bytes())) == record


def test_every_changed_bit_is_noticed(record: Record) -> None:
    """No record with one changed bit is taken for a record, wherever the bit is."""
    data = record.to_bytes()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ValueError, match=r"."):
            Record.from_bytes(memoryview(changed))


def test_a_damaged_or_misplaced_record_is_set_aside(tmp_path: Path, record: Record) -> None:
    """A record that is damaged, or lies under another spec's key, is not used and does not stay."""
    store = LocalStore(tmp_path)
    data = record.to_bytes()
    cases = {spec_key(record.spec.id): data[:-9] + b"}", spec_key("cd" * 32): data, origin_key("ef" * 32): b"\0"}
    for key, content in cases.items():
        assert store.put(key, [content])
        assert read_record(store, key) is None
        assert not store.exists(key)
    assert len(list((tmp_path / "damaged").iterdir())) == 3
    store.close()


def test_a_record_of_an_unknown_kind_stays(tmp_path: Path, record: Record) -> None:
    """A record that another version wrote, of a kind this one does not know, is not used and not taken for damage."""
    from scheduler.canonical import canonical_hash, canonical_json  # noqa: PLC0415  # only this test forges a record

    data = {"digest": record.digest, "spec": {"schedule": {"kind": "future.Kind"}, "total_steps": 3}}
    store = LocalStore(tmp_path)
    store.put(origin_key(record.digest), [canonical_json({**data, "check": canonical_hash(data)}).encode()])
    assert read_record(store, origin_key(record.digest)) is None
    assert store.exists(origin_key(record.digest))
    store.close()
