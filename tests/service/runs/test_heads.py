"""Heads in memory: how old they may be, and what is served while the database is away."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from service.concurrency.executors import Executors
from service.database.metadata import Metadata, open_metadata
from service.database.runs.records import RunRecords
from service.database.runs.rows import Author, RunEdit, RunHead, RunName, RunTarget
from service.errors import DatabaseError
from service.runs import heads as module
from service.runs.heads import Heads
from service.settings import Settings

NAME, OTHER = RunName("team-a", "bert"), RunName("team-a", "gpt")


class Known:
    """Heads over a real database, with a clock that is set by the test."""

    def __init__(self, metadata: Metadata, executors: Executors, file: Path) -> None:
        self.metadata = metadata
        self.records = metadata.runs
        self.executors = executors
        self.now = 0.0
        self.file = file
        self.heads = Heads(metadata.runs, executors, clock=lambda: self.now)

    def change(self, expected: int | None, number: int = 1, name: RunName = NAME) -> RunHead:
        """Change a run behind the back of the heads, as another server does."""
        target = RunTarget(f"{number:064x}", 8, "step", 1)
        head, made = self.records.change(name, expected, target, RunEdit("create" if expected is None else "move"))
        assert made
        return head

    def take_away(self) -> None:
        """Let the database fail from now on."""
        self.file.rename(self.file.with_name("away"))

    def bring_back(self) -> None:
        """Let the database work again."""
        self.file.with_name("away").rename(self.file)


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    executors = Executors()
    with closing(open_metadata(Settings(data_dir=tmp_path))) as metadata:
        for number in range(1, 4):
            metadata.tables.publish(f"{number:064x}", 64, None)
        yield Known(metadata, executors, tmp_path / "metadata.sqlite")
    executors.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(work())


def test_a_head_is_at_most_two_seconds_old(known: Known) -> None:
    """What another server changed is seen after 2 seconds at the latest; until then nothing is asked."""
    first, queries = known.change(None), 0

    class Counting(RunRecords):
        @override
        def head(self, name: RunName) -> RunHead | None:
            nonlocal queries
            queries += 1
            return known.records.head(name)

    heads = Heads(Counting(None, None), known.executors, clock=lambda: known.now)  # type: ignore[arg-type]  # only `head` is called

    async def main() -> None:
        assert (await heads.get(NAME)).head == first
        second = known.change(1, 2)
        known.now = 1.9
        served = await heads.get(NAME)
        assert (served.head, served.age_seconds, served.stale, queries) == (first, 1.9, False, 1)
        known.now = 2.0
        served = await heads.get(NAME)
        assert (served.head, served.age_seconds, served.stale, queries) == (second, 0.0, False, 2)

    run(main)


def test_a_servers_own_change_is_seen_at_once(known: Known) -> None:
    """After a change by this server its readers see it, also if the version stays; notes may come in any order."""
    first = known.change(None)

    async def main() -> None:
        await known.heads.get(NAME)
        second, third = known.change(1, 2), known.change(2, 3)
        known.heads.changed(NAME, third)
        known.heads.changed(NAME, second)
        assert (await known.heads.get(NAME)).head == third
        locked = known.records.set(NAME, 3, Author(), locked=True)
        known.now = 0.5
        known.heads.changed(NAME, locked)
        assert (await known.heads.get(NAME)).head == locked
        assert first != third

    run(main)


def test_a_query_that_began_before_a_change_is_not_kept(known: Known) -> None:
    """Of a query and a change at the same time the later one counts, even if the query ends last."""
    first = known.change(None)
    reading, go_on = threading.Event(), threading.Event()

    class Slow(RunRecords):
        @override
        def head(self, name: RunName) -> RunHead | None:
            found = known.records.head(name)
            reading.set()
            go_on.wait(30)
            return found

    heads = Heads(Slow(None, None), known.executors, clock=lambda: known.now)  # type: ignore[arg-type]  # only `head` is called

    async def main() -> None:
        early = asyncio.create_task(heads.get(NAME))
        await asyncio.to_thread(reading.wait, 30)
        known.now = 0.5
        second = known.change(1, 2)
        heads.changed(NAME, second)
        assert (await heads.get(NAME)).head == second
        go_on.set()
        assert (await early).head == first
        assert (await heads.get(NAME)).head == second

    run(main)


def test_the_last_known_head_is_served_while_the_database_is_away(known: Known) -> None:
    """It is flagged stale and says its age; a run that is not known is an error. Then all is fresh again."""
    first = known.change(None)

    async def main() -> None:
        assert (await known.heads.get(NAME)).head == first
        known.take_away()
        for now in (3.0, 60.0, 86_400.0):
            known.now = now
            served = await known.heads.get(NAME)
            assert (served.head, served.age_seconds, served.stale) == (first, now, True)
        with pytest.raises(DatabaseError, match="No such file"):
            await known.heads.get(OTHER)
        known.bring_back()
        second = known.change(1, 2)
        served = await known.heads.get(NAME)
        assert (served.head, served.stale) == (first, True)  # no query for a second after a failure
        known.now += 1.0
        served = await known.heads.get(NAME)
        assert (served.head, served.age_seconds, served.stale) == (second, 0.0, False)

    run(main)


def test_a_slow_database_is_not_waited_for(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the database takes longer than a second, the known head is served, and the query goes on."""
    first = known.change(None)
    slow, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(module, "_DATABASE_WAIT", 0.01)

    class Slow(RunRecords):
        @override
        def head(self, name: RunName) -> RunHead | None:
            if slow.is_set():
                go_on.wait(30)
            return known.records.head(name)

    heads = Heads(Slow(None, None), known.executors, clock=lambda: known.now)  # type: ignore[arg-type]  # only `head` is called

    async def main() -> None:
        await heads.get(NAME)
        slow.set()
        second, known.now = known.change(1, 2), 5.0
        served = await heads.get(NAME)
        assert (served.head, served.age_seconds, served.stale) == (first, 5.0, True)
        go_on.set()
        known.now = 6.5
        while (served := await heads.get(NAME)).stale:
            known.now += 1.0
        assert served.head == second

    run(main)


def test_that_a_run_is_missing_is_not_remembered(known: Known) -> None:
    """A run that another server creates is found at once."""

    async def main() -> None:
        assert (await known.heads.get(NAME)).head is None
        created = known.change(None)
        assert (await known.heads.get(NAME)).head == created

    run(main)


def test_memory_is_limited(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heads that were not asked for longest are forgotten when there are too many."""
    monkeypatch.setattr(module, "_MOST", 3)
    names = [RunName("many", f"run-{number}") for number in range(5)]
    for name in names:
        known.change(None, name=name)

    async def main() -> None:
        for name in (*names, names[2]):
            await known.heads.get(name)
        known.take_away()
        for name in names[2:]:
            assert (await known.heads.get(name)).head is not None
        for name in names[:2]:
            with pytest.raises(DatabaseError, match="No such file"):
                await known.heads.get(name)

    run(main)
