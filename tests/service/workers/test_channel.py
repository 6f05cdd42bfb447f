"""Messages between two processes."""

import os
import socket
from collections.abc import Iterator

import pytest

from service.workers.channel import Channel

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_message_comes_whole(pair: Pair) -> None:
    """Data, bytes and a descriptor arrive as they were sent, one message after the other."""
    ours, theirs = pair
    reader, writer = os.pipe()
    ours.send({"a": [1.5, "é"]}, b"bytes", descriptor=writer)
    os.close(writer)
    ours.send({})
    first, second = theirs.receive(), theirs.receive()
    assert (first.data, bytes(first.payload)) == ({"a": [1.5, "é"]}, b"bytes")
    assert (second.data, bytes(second.payload), second.descriptor) == ({}, b"", None)
    assert first.descriptor is not None
    os.write(first.descriptor, b"x")
    os.close(first.descriptor)
    assert os.read(reader, 2) == b"x"
    os.close(reader)


@pytest.mark.parametrize("sent", [b"", b"\1\0", b"\2\0\0\0\1\0\0\0{}"], ids=["nothing", "head", "payload"])
def test_an_end_is_told(sent: bytes) -> None:
    """Where the other end goes, between messages or within one, that is the end; what is sent to it then as well."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.close()
        channel = Channel(ours)
        with pytest.raises(EOFError, match=r"^$"):
            channel.receive()
        with pytest.raises(EOFError, match=r"^$"):
            channel.send({})
