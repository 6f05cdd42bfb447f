"""Messages between the server and a worker process: JSON, binary data, and sometimes a file descriptor.

No pickled objects are sent, so a message can contain only data and never run code.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

_HEAD = struct.Struct("<II")  # bytes of the JSON, and of what follows it


class Message(NamedTuple):
    """A received message. The receiver must close the descriptor."""

    data: dict[str, Any]
    payload: bytearray
    descriptor: int | None


class Channel:
    """One end of a pair of connected sockets. Everything blocks. One thread sends and one receives at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(
        self, data: Mapping[str, Any], payload: bytes | memoryview = b"", *, descriptor: int | None = None
    ) -> None:
        """Send a message. Raises `EOFError` if the other end is closed."""
        text = json.dumps(data).encode()
        head = _HEAD.pack(len(text), len(payload))
        try:
            if descriptor is None:
                self._connection.sendall(head)
            else:
                socket.send_fds(self._connection, [head], [descriptor])
            self._connection.sendall(text)
            self._connection.sendall(payload)
        except ConnectionError as error:
            raise EOFError from error

    def receive(self) -> Message:
        """Return the next message. Raises `EOFError` if the other end is closed before the message is complete."""
        try:
            head, descriptors, _, _ = socket.recv_fds(self._connection, _HEAD.size, 1)
        except ConnectionError as error:
            raise EOFError from error
        if not head:
            raise EOFError
        descriptor = descriptors[0] if descriptors else None
        try:
            text_size, payload_size = _HEAD.unpack(head + self._read(_HEAD.size - len(head)))
            return Message(json.loads(self._read(text_size)), self._read(payload_size), descriptor)
        except BaseException:
            if descriptor is not None:
                os.close(descriptor)
            raise

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        left = memoryview(data)
        while left:
            try:
                received = self._connection.recv_into(left)
            except ConnectionError as error:
                raise EOFError from error
            if not received:
                raise EOFError
            left = left[received:]
        return data

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
