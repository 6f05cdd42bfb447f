"""Bundles: what is read is what was written, or an error: nothing of a damaged file is believed."""

from __future__ import annotations

import dataclasses
import json
import random
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.errors import BundleError
from client.runs.bundle import BundledRun, open_bundle, write_bundle
from client.runs.documents import parse_run
from scheduler import Spec, Table
from scheduler.compose import Constant, Literal

PUBLISHED = Table({"lr": np.linspace(0.1, 0.0, 40)})
SPEC = Spec(schedule=Literal(digest=PUBLISHED.digest), total_steps=30)
HELD = Table({"lr": PUBLISHED.lr[:30]})
CONSTANT = Spec(schedule=Constant(0.1), total_steps=20).table()
TABLES = {table.digest: table for table in (PUBLISHED, HELD, CONSTANT)}


def run(version: int, table: Table, **fields: Any) -> Any:
    document = {
        "namespace": "team-a",
        "name": "bert",
        "version": version,
        "action": "create",
        "digest": table.digest,
        "total_steps": table.total_steps,
        "axis": "step",
        "stride": 1,
        "created_at": "2026-11-30T16:50:04Z",
    }
    return parse_run({**document, **fields})


VERSIONS = [run(1, CONSTANT), run(2, HELD, spec=SPEC.model_dump(mode="json"))]
BUNDLED = BundledRun(dataclasses.replace(VERSIONS[-1], labels={"a": "1"}), VERSIONS)


HEAD: dict[str, Any] = VERSIONS[0].to_dict()


def of_runs(head: dict[str, Any], *versions: dict[str, Any]) -> dict[str, bytes]:
    """The file of the run with this head and these versions."""
    return {"runs/team-a/bert.json": json.dumps({"head": head, "versions": versions}).encode()}


def read(path: Path) -> tuple[list[BundledRun], dict[str, Table]]:
    with open_bundle(path) as bundle:
        return [bundle.run(name) for name in bundle.names], {digest: bundle.table(digest) for digest in bundle.digests}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "runs.zip", [BUNDLED], TABLES)
    return tmp_path / "runs.zip"


def test_a_bundle_holds_its_runs_and_tables(path: Path) -> None:
    """Heads, versions, and every table that a version or its spec names; the same runs give the same bytes."""
    assert BUNDLED.digests == set(TABLES)
    assert read(path) == ([BUNDLED], TABLES)
    again = path.with_name("again.zip")
    write_bundle(again, [BUNDLED], TABLES)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(each.name for each in path.parent.iterdir()) == ["again.zip", "runs.zip"]


def test_a_bundle_is_a_plain_zip(path: Path) -> None:
    """Any tool opens it, and its tables are the files of their digests."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read(f"tables/{CONSTANT.digest}.safetensors") == CONSTANT.to_bytes()


def test_damage_is_found_or_harmless(path: Path) -> None:
    """A flipped bit or a cut anywhere gives an error of ours, or what was written: never another run or table."""
    whole, chance = path.read_bytes(), random.Random(1)
    found: list[str] = []
    for _ in range(300):
        damaged = bytearray(whole)
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        else:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read(path) == ([BUNDLED], TABLES)
        except BundleError as error:
            found.append(str(error))
    assert len(found) > 200
    assert not any("\n" in text for text in found)


def rewritten(path: Path, changes: Mapping[str, bytes | None], **options: Any) -> None:
    """Write the bundle again with other contents; None leaves a file out."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | dict(changes)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle.json": None}, "bundle.json is missing"),
        ({"bundle.json": b"{"}, "bundle.json is no JSON"),
        ({"bundle.json": b"[]"}, "bundle.json is no JSON object"),
        ({"bundle.json": b"{}"}, "its format is None, revision None"),
        ({"bundle.json": b'{"format": "lrtables bundle", "revision": 2}'}, "revision 2"),
        ({"bundle.json": b'{"format": "lrtables bundle", "revision": 1, "runs": ["../x"]}'}, "its list of runs"),
        (
            {"bundle.json": b'{"format": "lrtables bundle", "revision": 1, "runs": [], "tables": ["x"]}'},
            "its list of tables",
        ),
        ({"runs/team-a/bert.json": None}, "runs/team-a/bert.json is missing"),
        ({"runs/team-a/bert.json": b"{}"}, "has no versions"),
        (
            {"runs/team-a/bert.json": b'{"head": {}, "versions": [{}]}'},
            "did not answer with a run: namespace is missing",
        ),
        (
            {
                "runs/team-a/bert.json": json.dumps(
                    {"head": {**VERSIONS[0].to_dict(), "name": "gpt"}, "versions": [VERSIONS[0].to_dict()]}
                ).encode()
            },
            "is about another run",
        ),
        (
            {
                "runs/team-a/bert.json": json.dumps(
                    {"head": VERSIONS[0].to_dict(), "versions": [{**VERSIONS[0].to_dict(), "digest": "0" * 64}]}
                ).encode()
            },
            f"names table {'0' * 64}, which is not in it",
        ),
        (of_runs({**HEAD, "version": 9}, HEAD), "the head of .*, version 9 .*, is none of its versions"),
        (of_runs({**HEAD, "digest": PUBLISHED.digest}, HEAD), "is none of its versions"),
        (of_runs(HEAD, HEAD, HEAD), "has a version twice"),
        (of_runs(HEAD, {**HEAD, "spec": {"kind": "Literal", "digest": [1]}}), "a spec names a table by .*no digest"),
        ({f"tables/{CONSTANT.digest}.safetensors": None}, "is missing"),
        ({f"tables/{CONSTANT.digest}.safetensors": PUBLISHED.to_bytes()}, f"holds table {PUBLISHED.digest}"),
        ({f"tables/{CONSTANT.digest}.safetensors": CONSTANT.to_bytes()[:-1]}, f"table {CONSTANT.digest}: "),
    ],
)
def test_what_contradicts_itself_is_refused(path: Path, changes: dict[str, bytes | None], message: str) -> None:
    """A bundle that was put together by somebody else is checked in every part; the error says which."""
    rewritten(path, changes)
    with pytest.raises(BundleError, match=message):
        read(path)


def test_a_compressed_bundle_is_refused(path: Path) -> None:
    """So nothing that is read is larger than the file."""
    rewritten(path, {}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match=r"bundle.json is compressed"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    """Another file is named as what it is."""
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(BundleError, match=r"x.zip is no bundle"):
        read(tmp_path / "x.zip")


@pytest.mark.parametrize(("offset", "value"), [(6, 99), (8, 0x800)], ids=["version needed", "name in UTF-8"])
def test_a_zip_of_another_kind_is_no_bundle(path: Path, offset: int, value: int) -> None:
    """What the zip library does not read is an error of ours."""
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\x01\x02")
    struct.pack_into("<H", content, entry + offset, value)
    content[entry + 46] = 0xFF  # the first byte of its name
    path.write_bytes(content)
    with pytest.raises(BundleError, match="is no bundle: "):
        read(path)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """Where writing fails, neither a bundle nor a temporary file stays."""

    class Broken(Table):
        def parts(self, *, claims: bool = False) -> list[bytes | memoryview]:
            raise OSError("disk full")

    broken = Broken({"lr": [0.1]})
    with pytest.raises(OSError, match="disk full"):
        write_bundle(tmp_path / "runs.zip", [], {broken.digest: broken})
    assert list(tmp_path.iterdir()) == []
