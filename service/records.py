"""Records of which table a spec has, kept beside the tables: the first one stored is the truth."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from scheduler import Spec
from scheduler.canonical import canonical_hash, canonical_json
from service.storage.store import ObjectStore

_logger = logging.getLogger("lrtables")


@dataclass(frozen=True)
class Record:
    """A spec and the digest of its table."""

    spec: Spec
    digest: str

    def to_bytes(self) -> bytes:
        """The record as canonical JSON, with a checksum of itself."""
        data = {"digest": self.digest, "spec": self.spec.model_dump(mode="json")}
        return canonical_json({**data, "check": canonical_hash(data)}).encode()

    @classmethod
    def from_bytes(cls, data: memoryview) -> Record:
        """The record in these bytes. Raises `ValueError` where they are damaged or this version has no such spec."""
        content: dict[str, Any] = json.loads(bytes(data))
        if not isinstance(content, dict) or content.pop("check", None) != canonical_hash(content):
            raise ValueError("the record does not match its checksum")
        return cls(Spec.model_validate_json(json.dumps(content["spec"])), content["digest"])


def table_key(digest: str) -> str:
    """Where a table lies."""
    return f"tables/{digest[:2]}/{digest}.safetensors"


def spec_key(spec_id: str) -> str:
    """Where the record of a spec lies."""
    return f"specs/{spec_id[:2]}/{spec_id}.json"


def origin_key(digest: str) -> str:
    """Where the record lies of what a table was first computed from: a damaged table is computed again from it."""
    return f"origins/{digest[:2]}/{digest}.json"


def read_record(store: ObjectStore, key: str) -> Record | None:
    """The record under this key; None where there is none, or it was damaged and has been set aside."""
    data = store.get(key)
    if data is None:
        return None
    try:
        record = Record.from_bytes(data)
        if key not in (spec_key(record.spec.id), origin_key(record.digest)):
            raise ValueError(f"it is the record of spec {record.spec.id}")  # noqa: TRY301  # one way to be damaged of several
    except ValidationError:
        _logger.warning("the record %s is of a spec that this version does not know", key)
        return None
    except ValueError as error:
        _logger.error("the record %s is damaged (%s) and was set aside", key, error)  # noqa: TRY400  # expected: no trace
        store.set_aside(key)
        return None
    return record
