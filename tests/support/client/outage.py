"""Many clients of one service, through an outage of it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from client import Client, ClientError
from tests.support.servers.fault_proxy import FaultProxy, Profile

PROCESSES = 4
RIGHT = "right"
_STARTING = 4.0  # seconds in which the processes start


@dataclass(frozen=True)
class Habits:
    """Of every client: it gets the table `digest` again and again, every `period` seconds on average."""

    digest: str
    period: float
    timeout: float = 10.0
    deadline: float = 60.0


@dataclass(frozen=True)
class Outage:
    """What an outage did.

    Args:
        calls: how many calls ended with the right table (`RIGHT`), and with each error.
        longest: seconds that the longest call took.
        steady: requests per second at the proxy before the outage, on average.
        after: requests in each second that followed the outage.
        recovered: seconds after the outage until every client had its table.
    """

    calls: Counter[str]
    longest: float
    steady: float
    after: tuple[int, ...]
    recovered: float

    @property
    def ratio(self) -> float:
        """Requests in the busiest second after the outage over those of an average one before it."""
        return max(self.after) / self.steady


@dataclass
class _Life:
    """What one client saw: how its calls ended, and when each did."""

    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    at: list[float] = field(default_factory=list)


def outage(proxy: FaultProxy, habits: Habits, *, clients: int, profile: Profile, before: float, lasts: float) -> Outage:
    """Let clients, a thread each in four processes, live behind a proxy through which nothing comes for a while.

    Args:
        proxy: in front of a server that has the table.
        habits: of each client.
        clients: how many.
        profile: how connections fail.
        before: seconds before the outage, the first `habits.period` of which are not counted.
        lasts: seconds of the outage. As many are watched after it, and at least 20.
    """
    after = max(20.0, lasts)
    shares = [clients // PROCESSES + (index < clients % PROCESSES) for index in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        start = time.monotonic() + _STARTING  # every process of a machine has the same clock
        end = start + before + lasts + after
        works = [pool.submit(_live_together, proxy.url, habits, share, start, end) for share in shares]
        time.sleep(start + before - time.monotonic())
        with proxy.faulty(profile):
            time.sleep(lasts)
        back = time.monotonic()
        lives = [life for work in works for life in work.result(end - start + 2 * habits.deadline)]
    counted = start + habits.period, start + before
    seconds = Counter(int(at - back) for at in proxy.counts.at if at >= back)
    return Outage(
        sum((life.ends for life in lives), Counter()),
        max(life.longest for life in lives),
        sum(counted[0] <= at < counted[1] for at in proxy.counts.at) / (counted[1] - counted[0]),
        tuple(seconds[second] for second in range(int(after))),
        max(min((at for at in life.at if at >= back), default=float("inf")) for life in lives) - back,
    )


def _live_together(url: str, habits: Habits, clients: int, start: float, end: float) -> list[_Life]:
    logging.getLogger("client").setLevel(logging.ERROR)  # each retry is a warning
    lives = [_Life() for _ in range(clients)]
    threads = [threading.Thread(target=_live, args=(url, habits, start, end, life)) for life in lives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lives


def _live(url: str, habits: Habits, start: float, end: float, life: _Life) -> None:
    at = start + random.uniform(0.0, habits.period)
    with Client(url, timeout=habits.timeout, deadline=habits.deadline, cache=False) as client:
        while at < end:
            time.sleep(max(0.0, at - time.monotonic()))
            began = time.monotonic()
            try:
                client.get(habits.digest)
                life.ends[RIGHT] += 1
            except ClientError as error:
                life.ends[type(error).__name__] += 1
            ended = time.monotonic()
            life.longest = max(life.longest, ended - began)
            life.at.append(ended)
            at = ended + random.uniform(0.5, 1.5) * habits.period
