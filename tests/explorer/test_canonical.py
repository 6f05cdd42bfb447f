"""The canonical JSON and SHA-256 of the kernel are those of Python."""

import hashlib
import json
import random
import struct

from scheduler.canonical import canonical_json
from tests.explorer.node import run
from tests.support.node import KERNEL


def numbers() -> list[float]:
    """Numbers at the corners of their notation, and of every magnitude."""
    choose = random.Random(8785)
    corners = [0.0, -0.0, 1.0, 1e-6, 1e-7, 1e20, 1e21, 1e22, 5e-324, 1.7976931348623157e308, 2.0**53 - 1, 0.1, 100.0]
    found: list[float] = [struct.unpack("<d", choose.randbytes(8))[0] for _ in range(2000)]
    return [*corners, *(number for number in found if number - number == 0)]


def test_numbers_and_texts_are_written_alike() -> None:
    """Doubles of every magnitude, nested data and texts of every plane have one canonical JSON, and one hash."""
    texts = ["", "\n\t\u0000\u007f", '"\\/', "é", "\u2028", "\U0001f600", "\ufb33", "\x1f"]
    values = [*numbers(), *texts, {text: [text, None, True, {}] for text in texts}, {"b": 1, "a": [], "A": 2, "aa": {}}]
    found = json.loads(run("canonical.mjs", str(KERNEL), text=json.dumps(values)))
    expected = [(text := canonical_json(value), hashlib.sha256(text.encode()).hexdigest()) for value in values]
    assert [tuple(each) for each in found] == expected


def test_bytes_in_parts_have_the_hash_of_the_whole() -> None:
    """SHA-256 of bytes of every length to two blocks and beyond, in two parts, is Python's."""
    found = json.loads(run("hashes.mjs", str(KERNEL)))
    expected = [hashlib.sha256(bytes(index % 251 for index in range(length))).hexdigest() for length in range(200)]
    assert found == expected
