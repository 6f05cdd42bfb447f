"""The store in a bucket: shared by several servers, and with a failing S3 server or network."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from scheduler import Spec, Table, TableError
from scheduler.custom import WarmupWithDecay
from service.errors import StorageError
from service.storage.s3 import S3Store
from tests.support.servers.faults import Proxy, cut, failing, flipped, hung, shortened, slow
from tests.support.servers.s3 import S3Server, environment

# Every wait for a server that does not answer must end by itself; obstore's own limits are minutes.
pytestmark = [pytest.mark.needs("weed"), pytest.mark.timeout(300)]

KEY = f"tables/ab/{'ab' * 32}.safetensors"
OTHER = f"tables/cd/{'cd' * 32}.safetensors"
NEXT = f"tables/ef/{'ef' * 32}.safetensors"
SECONDS = 2.0  # for a request that will not be answered

METHODS: dict[str, Callable[[S3Store], object]] = {
    "get": lambda store: store.get(KEY),
    "stat": lambda store: store.stat(KEY),
    "read": lambda store: store.read(KEY, 0, 1),
    "put": lambda store: store.put(OTHER, [b"x"]),
    "quarantine": lambda store: store.quarantine(KEY, ""),
    "keys": lambda store: list(store.keys()),
    "delete": lambda store: store.delete(OTHER),
    "check": lambda store: store.check(),
}


@pytest.fixture
def url(s3_server: S3Server) -> str:
    return s3_server.new_url()


@pytest.fixture
def table() -> Table:
    """A table of 800 kB: many packets."""
    return Table.compute(Spec(schedule=WarmupWithDecay(0.5, 10, 100_000), total_steps=100_000))


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    """A proxy to the S3 server that can be made to fail."""
    with Proxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def store(url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty store behind the proxy."""
    for name, value in environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    return S3Store(url, timeout_seconds=SECONDS)


@pytest.fixture
def direct(url: str, s3_variables: None) -> S3Store:
    """The same prefix of the bucket, without the proxy and with a long time-out."""
    return S3Store(url, timeout_seconds=30)


def content(store: S3Store, key: str = KEY) -> bytes:
    """Return the bytes of an object that exists."""
    data = store.get(key)
    assert data is not None
    return bytes(data)


# -- many servers -----------------------------------------------------------------------------------------------------


def test_one_of_two_servers_creates_the_object(url: str, s3_variables: None) -> None:
    """Of two stores on one bucket, one put creates the object, and both read its bytes."""
    first, second = S3Store(url, timeout_seconds=30), S3Store(url, timeout_seconds=30)
    assert first.put(KEY, [b"first"])
    assert not second.put(KEY, [b"second"])
    assert content(first) == content(second) == b"first"


def test_prefixes_are_apart(s3_server: S3Server, s3_variables: None) -> None:
    """Stores with different prefixes of one bucket do not see each other's objects."""
    first, second = (S3Store(s3_server.new_url(), timeout_seconds=30) for _ in range(2))
    first.put(KEY, [b"x"])
    assert second.get(KEY) is None
    assert list(second.keys()) == []


@pytest.mark.slow
def test_more_objects_than_a_page_are_listed(direct: S3Store) -> None:
    """A list that comes in several pages is whole and in order."""
    digests = [f"{number % 256:02x}{number:062x}" for number in range(1_100)]
    for digest in digests:
        direct.put(f"tables/{digest[:2]}/{digest}.safetensors", [b"x"])
    assert list(direct.keys()) == [(f"tables/{digest[:2]}/{digest}.safetensors", 1) for digest in sorted(digests)]


# -- a server that refuses --------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_an_error(url: str, direct: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is refused raises an error with the status and without the secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-secret")
    refused = S3Store(url, timeout_seconds=SECONDS)
    for use in METHODS.values():
        with pytest.raises(StorageError, match=r"^the object store answers 403 Forbidden$") as caught:
            use(refused)
        assert "wrong-and-secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("method", ["get", "read", "quarantine", "keys", "check"])
def test_a_missing_bucket_is_an_error(s3_variables: None, method: str) -> None:
    """A missing bucket is an error, not an empty bucket."""
    with pytest.raises(StorageError, match=r"^the object store answers 404 Not Found$"):
        METHODS[method](S3Store("s3://no-such-bucket", timeout_seconds=SECONDS))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "::nonsense", "AWS_ENDPOINT_URL must be like https://host:port, got '::nonsense'"),
        ("AWS_ENDPOINT", "ftp://host", "AWS_ENDPOINT must be like https://host:port, got 'ftp://host'"),
        ("AWS_ENDPOINT", "https://u:secret@h", "AWS_ENDPOINT must hold no name or password: set AWS_ACCESS_KEY_ID"),
        ("AWS_CONDITIONAL_PUT", "never", 'the AWS_... variables are invalid: .*"never"'),
    ],
)
def test_invalid_variables_are_refused(
    s3_variables: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """Invalid variables are refused when the store is opened, naming them or the value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=message):
        S3Store("s3://bucket", timeout_seconds=SECONDS)


def test_plain_http_is_used_where_it_is_allowed(url: str, s3_variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `AWS_ALLOW_HTTP`, nothing is sent over plain HTTP."""
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(StorageError, match=r"^the object store does not answer$"):
        S3Store(url, timeout_seconds=SECONDS).check()


# -- a server that does not answer -------------------------------------------------------------------------------------


@contextmanager
def gone(server: S3Server) -> Iterator[None]:
    """Stop the server for a `with` block."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: S3Server) -> Iterator[None]:
    """Freeze the server for a `with` block."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@pytest.mark.parametrize("away", [gone, frozen])
def test_a_server_that_does_not_answer_is_an_error(
    away: Callable[[S3Server], AbstractContextManager[None]], s3_server: S3Server, store: S3Store, direct: S3Store
) -> None:
    """Every method fails in bounded time while the server is gone or frozen, and works when it is back."""
    assert direct.put(KEY, [b"kept"])
    with away(s3_server):
        for use in METHODS.values():
            with pytest.raises(StorageError, match=r"^the object store does not answer$"):
                use(store)
    assert content(store) == b"kept"
    assert store.put(NEXT, [b"x"])  # another key: a frozen server may still do what it was asked before


@pytest.mark.slow
def test_a_killed_server_keeps_what_it_took(s3_server: S3Server, direct: S3Store, table: Table) -> None:
    """An object whose put has returned is there after the server was killed."""
    assert direct.put(KEY, table.parts())
    s3_server.kill()
    s3_server.start()
    assert Table.from_bytes(memoryview(content(direct))).digest == table.digest


# -- a failing network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_lost_responses_are_an_error(store: S3Store, proxy: Proxy, method: str) -> None:
    """When responses are lost on the way, a method fails in bounded time, and works later."""
    with proxy.faulty(responses=hung), pytest.raises(StorageError, match=r"^the object store does not answer$"):
        METHODS[method](store)
    METHODS[method](store)


def test_a_slow_read_times_out(store: S3Store, direct: S3Store, proxy: Proxy, table: Table) -> None:
    """Reading an object that takes too long is an error; a small one is read."""
    direct.put(KEY, table.parts())
    direct.put(OTHER, [b"small"])
    with proxy.faulty(responses=slow(100_000)):
        with pytest.raises(StorageError, match=r"^the object store does not answer$"):
            store.get(KEY)
        assert content(store, OTHER) == b"small"


def test_a_slow_write_times_out_and_is_whole_or_absent(
    store: S3Store, direct: S3Store, proxy: Proxy, table: Table
) -> None:
    """A put that takes too long is an error and leaves no partial object, and the next put succeeds."""
    with (
        proxy.faulty(requests=slow(100_000)),
        pytest.raises(StorageError, match=r"^the object store does not answer$"),
    ):
        store.put(KEY, table.parts())
    assert direct.get(KEY) is None
    assert direct.put(KEY, table.parts())


@pytest.mark.parametrize("bytes_before", [0, 10, 1_000, 400_000])
def test_a_broken_connection_gives_no_partial_object(
    store: S3Store, direct: S3Store, proxy: Proxy, table: Table, bytes_before: int
) -> None:
    """When every connection breaks after so many bytes, a get returns the whole object or raises."""
    direct.put(KEY, table.parts())
    with proxy.faulty(responses=cut(bytes_before)), suppress(StorageError):
        assert content(store) == b"".join(table.parts())
    assert content(store) == b"".join(table.parts())


@pytest.mark.parametrize("bytes_before", [0, 1_000, 400_000])
def test_a_write_that_breaks_is_whole_or_absent(
    store: S3Store, direct: S3Store, proxy: Proxy, table: Table, bytes_before: int
) -> None:
    """When every connection breaks within the request, a put is an error and leaves no partial object."""
    with (
        proxy.faulty(requests=cut(bytes_before)),
        pytest.raises(StorageError, match=r"^the object store does not answer$"),
    ):
        store.put(KEY, table.parts())
    assert direct.get(KEY) is None
    assert direct.put(KEY, table.parts())


@pytest.mark.parametrize("fault", [flipped, shortened])
def test_damaged_responses_are_refused(
    store: S3Store, direct: S3Store, proxy: Proxy, table: Table, fault: Callable[[Iterator[bytes]], Iterator[bytes]]
) -> None:
    """Bytes that changed or went missing on the way, in a well-formed response, are not taken for the table."""
    direct.put(KEY, table.parts())
    with proxy.faulty(responses=fault):
        data = store.get(KEY)
        assert data is not None
        with pytest.raises(TableError, match=r"."):
            Table.from_bytes(data)
    assert content(store) == b"".join(table.parts())


def test_damaged_requests_are_not_kept(store: S3Store, direct: S3Store, proxy: Proxy, table: Table) -> None:
    """The server refuses bytes that changed on the way: they do not match the request's checksum."""
    with (
        proxy.faulty(requests=flipped),
        pytest.raises(StorageError, match=r"^the object store answers 400 Bad Request"),
    ):
        store.put(KEY, table.parts())
    assert direct.get(KEY) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_server_that_fails_is_an_error(store: S3Store, proxy: Proxy, method: str) -> None:
    """A server that answers 500 raises an error that says so."""
    with proxy.faulty(responses=failing), pytest.raises(StorageError, match=r"answers 500 Internal Server Error"):
        METHODS[method](store)


def test_a_write_whose_response_is_lost_may_have_happened(store: S3Store, direct: S3Store, proxy: Proxy) -> None:
    """A put whose response is lost is an error; the object is whole, and the next put finds the key taken."""
    with proxy.faulty(responses=hung), pytest.raises(StorageError, match=r"^the object store does not answer$"):
        store.put(KEY, [b"whole"])
    assert content(direct) == b"whole"
    assert not store.put(KEY, [b"whole"])


def test_threads_go_on_while_one_waits(store: S3Store, proxy: Proxy) -> None:
    """A request without a response does not block the other threads of the process."""
    waiting = threading.Thread(target=refused, args=(store,))
    turns = 0
    with proxy.faulty(responses=hung):
        waiting.start()
        while waiting.is_alive():
            turns += 1
            time.sleep(0.001)
    assert turns > 10


def refused(store: S3Store) -> None:
    """Get an object, and expect an error."""
    with pytest.raises(StorageError, match="does not answer"):
        store.get(KEY)
