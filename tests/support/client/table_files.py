"""A table's file and manifest, written by the description of the interface and not by our code."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np

from scheduler import Spec


def file_of(columns: dict[str, Any], *, axis: str = "step", stride: int = 1, after: str = "hold") -> tuple[str, bytes]:
    """The digest and the safetensors file of any values, written by the format's description and not by our code."""
    names = sorted(columns)
    values = [np.asarray(columns[name], dtype="<f8") for name in names]
    layout = {"after": after, "axis": axis, "columns": names, "stride": stride, "total_steps": len(values[0])}
    line = json.dumps(layout, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    digest = hashlib.sha256(line + b"".join(column.tobytes() for column in values)).hexdigest()
    metadata = {"format": "pt", "digest": digest, "axis": axis, "stride": str(stride), "after": after}
    header: dict[str, Any] = {"__metadata__": metadata}
    for index, (name, column) in enumerate(zip(names, values, strict=True)):
        offsets = [index * column.nbytes, (index + 1) * column.nbytes]
        header[name] = {"dtype": "F64", "shape": [len(column)], "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return digest, struct.pack("<Q", len(text)) + text + b"".join(column.tobytes() for column in values)


def manifest_of(spec: Spec, digest: str) -> dict[str, Any]:
    """The manifest of a spec's table, with the fields that a client reads."""
    columns = sorted(spec.plan())
    return {
        "digest": digest,
        "spec": json.loads(spec.model_dump_json()),
        "spec_id": spec.id,
        "total_steps": spec.total_steps,
        "axis": spec.axis,
        "stride": spec.stride,
        "after": spec.after,
        "columns": {name: {"min": 0.0, "max": 1.0, "first": 0.0, "last": 1.0} for name in columns},
        "nbytes": 8 * spec.total_steps * len(columns),
        "sizes": {"safetensors": None},
        "links": {"self": f"/v1/tables/{digest}"},
    }
