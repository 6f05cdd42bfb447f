"""A server with short deadlines."""

from collections.abc import Iterator

import pytest

from tests.support.servers.connections import QUICK
from tests.support.servers.herd import SPEC
from tests.support.servers.process import ServerProcess, post


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with short deadlines."""
    with ServerProcess(tmp_path_factory.mktemp("quick"), **QUICK) as server:
        yield server


@pytest.fixture(scope="session")
def table(quick: ServerProcess) -> str:
    """The path of a table of 8 MB."""
    return f"/v1/tables/{post(quick, SPEC)}.npy"
