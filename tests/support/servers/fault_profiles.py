"""The named ways in which a network fails a client, each with its parameters: see `PROFILES`."""

from __future__ import annotations

import asyncio
import random
import re

from tests.support.servers.fault_proxy import FAITHFUL, Message, Profile, Visit

_LENGTH = re.compile(rb"(?im)^(content-length: *)\d+")
_RANGE = re.compile(rb"(?im)^range:[^\n]*\n")
_TURNS = 50  # pieces per second of a slow connection

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Welcome to the guest network.</body></html>"


def slow(bytes_per_second: float) -> Profile:
    """Responses arrive at a steady, low rate."""
    piece = max(1, int(bytes_per_second / _TURNS))

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            data = exchange.response.data
            for start in range(0, len(data), piece):
                await asyncio.sleep(piece / bytes_per_second)
                await visit.send(data[start : start + piece])

    return Profile("slow", serve)


def lossy(stall: float, share: float = 0.5, seed: int = 0) -> Profile:
    """Responses arrive in pieces, a share of them up to `stall` seconds late, as where packets are sent again."""
    chance = random.Random(seed)

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            data = exchange.response.data
            while data:
                if chance.random() < share:
                    await asyncio.sleep(chance.uniform(0.0, stall))
                cut = 1 + chance.randrange(1 + len(data) // 2)
                await visit.send(data[:cut])
                data = data[cut:]

    return Profile("lossy", serve)


def reset(at: int) -> Profile:
    """The server does what it was asked for; the connection is reset after `at` bytes of its response."""

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            await visit.send(exchange.response.data[:at])
            await visit.reset()
            return

    return Profile("reset", serve)


def black_hole() -> Profile:
    """The connection is accepted, and nothing is read or answered."""

    async def serve(visit: Visit) -> None:
        visit.stop_reading()
        await asyncio.Event().wait()

    return Profile("black hole", serve)


def half_open(delivers: bool = True) -> Profile:
    """The peer is gone without FIN: requests are taken, and nothing comes back.

    Args:
        delivers: whether the server gets the request and does what it asks for, so that only the answer is lost.
    """

    async def serve(visit: Visit) -> None:
        async for _ in visit.exchanges() if delivers else visit.requests():
            break
        await visit.until_closed()

    return Profile("half-open", serve)


def truncated(at: float) -> Profile:
    """FIN comes after a share `at` (0 to 1) of a response's body."""

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            head, body = exchange.response
            await visit.send(head + body[: int(at * len(body))])
            return

    return Profile("truncated", serve)


def wrong_length(by: int, closes: bool = False) -> Profile:
    """Content-Length says `by` bytes more than there are, or less; the connection stays open unless it `closes`."""

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            head, body = exchange.response
            await visit.send(_LENGTH.sub(rb"\g<1>%d" % max(0, len(body) + by), head) + body)
            if closes:
                return

    return Profile("wrong length", serve)


def ignored_range() -> Profile:
    """A request for a range is answered with 200 and everything, as by a cache that knows no ranges."""

    def without_range(request: Message) -> Message:
        return Message(_RANGE.sub(b"", request.head), request.body)

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges(without_range):
            await visit.send(exchange.response.data)

    return Profile("200 for a range", serve)


def corrupt_byte(at: float, flip: int = 1) -> Profile:
    """The byte at a share `at` (0 to 1) of each body is another: some of its bits, those of `flip`, are turned."""

    async def serve(visit: Visit) -> None:
        async for exchange in visit.exchanges():
            head, body = exchange.response
            wrong = bytearray(body)
            if wrong:
                wrong[min(int(at * len(body)), len(body) - 1)] ^= flip
            await visit.send(head + wrong)

    return Profile("corrupt byte", serve)


def captive_portal(status: int = 200) -> Profile:
    """A page for people answers every request: a captive portal's with 200 or 302, a gateway's with 502 to 504."""
    reason, more = {200: ("OK", ""), 302: ("Found", "Location: http://portal.example/sign-in\r\n")}.get(
        status, ("Gateway Trouble", "")
    )
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/html\r\n{more}Content-Length: {len(_PAGE)}\r\n\r\n"

    async def serve(visit: Visit) -> None:
        async for _ in visit.requests():
            await visit.send(head.encode() + _PAGE)

    return Profile(f"HTML {status}", serve)


REFUSED = Profile("refused", None)
"""There is no listener: connections are refused at once."""

PROFILES = {
    profile.name: profile
    for profile in [
        FAITHFUL,
        slow(200_000),
        lossy(0.02),
        reset(100),
        black_hole(),
        half_open(),
        truncated(0.5),
        wrong_length(40),
        ignored_range(),
        corrupt_byte(0.7),
        captive_portal(200),
        captive_portal(302),
        REFUSED,
    ]
}
"""Each profile by its name, with parameters of which a quick client sees the effect."""
