"""A service that lies, and 100,000 of its lies: python -m tests.client.hostile --count 100000

Each lie is consistent: a wrong table comes with its own right digest, so that only the question can tell it from the
right one. What is counted is how many wrong tables `Client.fetch` takes, and how many lies it meets with something
else than a `ClientError`.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from client import Client, ClientError
from scheduler import Spec, Table
from scheduler.builtin import CosineAnnealingLR, OneCycleLR
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries.transformers import Cosine
from tests.support.client.hostile_server import Request, hostile_server, response
from tests.support.client.table_files import file_of, manifest_of

SPECS = [
    Spec(schedule=WarmupWithDecay(5e-4, 30, 300, min_lr=1e-6), total_steps=300),
    Spec(schedule=LinearWarmup(1e-3, 10), total_steps=50, axis="sample", stride=64, after="release"),
    Spec(schedule=(WarmupWithDecay(0.1, 5, 80), WarmupWithDecay(0.2, 5, 80)), total_steps=80, after="error"),
    Spec(schedule=OneCycleLR(0.1, 100), total_steps=100),
    Spec(schedule=CosineAnnealingLR(0.1, 150), total_steps=150),
    Spec(schedule=Cosine(1e-3, 20, 200), total_steps=200, columns={"weight_decay": LinearWarmup(0.1, 20)}),
]
"""The requested specs: portable kinds and twins, several columns, groups, other axes."""

ODD: list[Any] = [None, True, 0, -1, 1e300, float("nan"), 10**400, "", "x", "\ud800", [], [[1]], {}, {"a": None}]
"""JSON values that stand where they should not."""


@dataclass
class Lie:
    """The response of a hostile service to the request for one spec."""

    name: str
    manifest: bytes
    file: bytes
    digest: str
    """Of the table in the file, where there is one."""
    post: dict[str, str] = field(default_factory=dict)
    get: dict[str, str] = field(default_factory=dict)

    def tell(self, request: Request, connection: socket.socket) -> None:
        """Answer a request."""
        is_post = request.method == "POST"
        body, headers = (self.manifest, self.post) if is_post else (self.file, self.get)
        connection.sendall(response(request, body, **headers))


def lies(chance: random.Random) -> Iterator[tuple[Spec, Lie]]:
    """Wrong responses without end, each to the spec that comes with it."""
    truths = [(spec, Table.compute(spec)) for spec in SPECS]
    ways = [
        _other_field,
        _other_spec,
        _other_frame,
        _other_values,
        _other_names,
        _other_question,
        _other_file,
        _other_http,
    ]
    while True:
        spec, table = chance.choice(truths)
        columns = {name: np.array(values) for name, values in table.columns.items()}
        yield spec, chance.choice(ways)(chance, spec, columns)


def _frame(spec: Spec) -> dict[str, Any]:
    return {"axis": spec.axis, "stride": spec.stride, "after": spec.after}


def _with_file(name: str, spec: Spec, digest: str, file: bytes) -> Lie:
    return Lie(name, json.dumps(manifest_of(spec, digest)).encode(), file, digest)


def _other_field(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """One field of the manifest has another value, or is gone."""
    digest, file = file_of(columns, **_frame(spec))
    manifest = manifest_of(spec, digest)
    name = chance.choice(["digest", "spec", "spec_id", "total_steps", "axis", "stride", "after", "columns", "nbytes"])
    if chance.random() < 0.1:
        del manifest[name]
    else:
        manifest[name] = chance.choice([odd for odd in ODD if odd != manifest[name] or odd is True])
    return Lie(f"manifest {name}", json.dumps(manifest).encode(), file, "")


def _other_spec(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """One value somewhere in the manifest's spec is another; the table is the right one."""
    digest, file = file_of(columns, **_frame(spec))
    manifest = manifest_of(spec, digest)
    owner, key = chance.choice(list(_places(manifest["spec"])))
    old = owner[key]
    owner[key] = chance.choice([other for other in [*ODD, 0.5, 7, "step"] if _json(other) != _json(old)])
    return Lie("manifest spec", json.dumps(manifest).encode(), file, "")


def _json(value: Any) -> str:
    return json.dumps(float(value) if isinstance(value, int) and not isinstance(value, bool) and value < 9e9 else value)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []:
        yield data, key
        yield from _places(data[key])


def _other_frame(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """The right values on another axis, with another stride, or another end."""
    changes: dict[str, list[Any]] = {
        "axis": ["step", "epoch", "sample", "token"],
        "stride": [1, 2, 64, 10**6],
        "after": ["hold", "error", "release"],
    }
    name = chance.choice(list(changes))
    layout = {**_frame(spec), name: chance.choice([each for each in changes[name] if each != getattr(spec, name)])}
    return _with_file(f"frame {name}", spec, *file_of(columns, **layout))


def _other_values(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """Values that are not the schedule's: one row, some rows, another peak, another length, a shift."""
    name = chance.choice(list(columns))
    values, rows = columns[name], len(columns[name])
    match way := chance.choice(["row", "rows", "scale", "shorter", "longer", "shift", "negative", "absurd"]):
        case "row":
            values[chance.randrange(rows)] += chance.choice([1e-9, -1e-9, 1e-3, 1.0])
        case "rows":
            start = chance.randrange(rows)
            values[start : start + 1 + chance.randrange(50)] += 1e-7
        case "scale":
            values *= chance.choice([0.5, 1.0 + 1e-9, 2.0])
        case "shorter":
            columns = {each: column[: chance.choice([1, rows // 2, rows - 1])] for each, column in columns.items()}
            columns = {each: column[: min(map(len, columns.values()))] for each, column in columns.items()}
        case "longer":
            columns = {each: np.append(column, column[-1]) for each, column in columns.items()}
        case "shift":
            columns[name] = np.append(values[1:], values[-1] + 1e-6)
        case "negative":
            values[chance.randrange(rows)] = chance.choice([-1.0, -1e-6])
        case "absurd":
            values[chance.randrange(rows)] = chance.choice([1e300, 1e12, 1e6])
    return _with_file(f"values {way}", spec, *file_of(columns, **_frame(spec)))


def _other_names(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """The right values under other names, with a column more, or one less."""
    name = chance.choice(list(columns))
    match chance.choice(["renamed", "more", "less"]):
        case "renamed":
            columns[chance.choice(["momentum.7", "beta1", "lr.9"])] = columns.pop(name)
        case "more":
            columns["zz"] = columns[name]
        case _:
            kept = [each for each in columns if each != name] or ["momentum"]
            columns = {each: columns.get(each, columns[name]) for each in kept}
    return _with_file("names", spec, *file_of(columns, **_frame(spec)))


def _other_question(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """The whole response, in itself right, to another question."""
    other = chance.choice([each for each in SPECS if each != spec])
    table = Table.compute(other)
    return _with_file("other question", other, *file_of(dict(table.columns), **_frame(other)))


def _other_file(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """A file with some bytes changed, cut off or added, or a header that says something else."""
    digest, file = file_of(columns, **_frame(spec))
    data = bytearray(file)
    match way := chance.choice(["bytes", "cut", "added", "header"]):
        case "bytes":
            for _ in range(chance.choice([1, 1, 5])):
                data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        case "cut":
            del data[chance.randrange(len(data)) :]
        case "added":
            data += bytes(chance.choice([1, 8, 4096]))
        case "header":
            data = _other_header(chance, file)
    return _with_file(f"file {way}", spec, digest, bytes(data))


def _other_header(chance: random.Random, file: bytes) -> bytearray:
    (size,) = struct.unpack_from("<Q", file)
    header = json.loads(file[8 : 8 + size])
    owner, key = chance.choice(list(_places(header)))
    owner[key] = chance.choice(ODD)
    text = json.dumps(header).encode()
    return bytearray(struct.pack("<Q", len(text)) + text + file[8 + size :])


def _other_http(chance: random.Random, spec: Spec, columns: dict[str, Any]) -> Lie:
    """A wrong table in a response that is odd as HTTP too."""
    columns[chance.choice(list(columns))][0] += 1e-6
    lie = _with_file("http", spec, *file_of(columns, **_frame(spec)))
    odd = [
        {"x_request_id": chance.choice(["-", "", "0" * 32, "x, y"])},
        {"content_length": chance.choice(["-1", "+5", "5, 6", "x", "1e3", "9" * 30, "3"]), "connection": "close"},
        {"content_encoding": chance.choice(["gzip", "br", "zstd", "deflate"])},
        {"transfer_encoding": "chunked", "content_length": "-", "connection": "close"},
        {
            "status": chance.choice(
                ["204 No Content", "206 Partial", "304 Not Modified", "302 Found", "404 \xff", "999 x"]
            )
        },
        {"status": chance.choice(["99 x", "abc", "", "-200 OK", "2000 OK"])},
    ]
    for headers in (lie.post, lie.get):
        headers.update(chance.choice([{}, *odd]))
    return lie


def run(count: int, seed: int) -> Counter[str]:
    """Tell so many lies; how each ended: "refused" and the error's name, or "taken" or "leaked", which must not be."""
    ended: Counter[str] = Counter()
    with hostile_server() as server, Client(server.url, timeout=5.0, deadline=0.2, compute=False) as client:
        for _, (spec, lie) in zip(range(count), lies(random.Random(seed)), strict=False):
            server.script = lie.tell
            server.seen.clear()
            ended[_end(client, spec, lie)] += 1
    return ended


def _end(client: Client, spec: Spec, lie: Lie) -> str:
    try:
        table = client.fetch(spec)
    except ClientError as error:
        str(error).encode()
        return f"refused: {type(error).__name__}"
    except Exception as error:
        return f"leaked: {lie.name}: {error!r}"
    right = table == Table.compute(spec) and table.layout == Table.compute(spec).layout
    return "right" if right else f"taken: {lie.name}"


def main() -> None:
    """Print how each lie ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("client").setLevel(logging.ERROR)  # what is tried again is told
    for end, number in run(arguments.count, arguments.seed).most_common():
        print(f"{number:8} {end}")


if __name__ == "__main__":
    main()
