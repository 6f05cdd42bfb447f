"""What every test file shares: hypothesis profiles, and what a machine must have."""

import os
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support.campaign import EXAMPLES
from tests.support.servers.process import ServerProcess
from tests.support.servers.small_disk import SmallDisk

_SLOW = "mark.slow"

IN_CI = os.environ.get("CI") == "true"

# Two pytest workers with two arithmetic threads each would fight for the cores; read by torch when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test reads what another one, or the user, has cached. Tests of the cache give it a folder.
os.environ["LRTABLES_CACHE"] = "off"

# Each change of a server waits for the disk, several milliseconds on some machines. What tests kill is processes, never
# the machine, and a killed process's files outlive it in memory as on a disk.
_MEMORY = Path("/dev/shm")  # where Linux has a file system in memory
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4 * 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))  # where pytest makes tmp_path

# No deadline and no complaint about slowness: how fast a busy machine is says nothing about a law. A failure is shrunk,
# for at most the five minutes that hypothesis takes, but not explained, which would take many more runs of the test. In
# CI, where it is the same failure each time, it is not shrunk either: the blob that is printed brings it back.
# In a campaign there are more examples; laws whose examples cost much have counts of their own.
settings.register_profile(
    "lrtables",
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow],
    phases=set(Phase) - {Phase.explain},
    print_blob=True,
)
settings.register_profile(
    "lrtables-ci",
    settings.get_profile("lrtables"),
    derandomize=True,
    phases=set(Phase) - {Phase.explain, Phase.shrink},
)
settings.load_profile("lrtables-ci" if IN_CI else "lrtables")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without slow tests where only those are run: importing all of them takes 20 s of a core."""
    if config.option.markexpr == "slow" and collection_path.suffix == ".py":
        return True if _SLOW not in collection_path.read_text(encoding="utf-8") else None
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose slow tests take longest, so that none is what all others wait for in the end."""
    seconds: Counter[Path] = Counter()
    for item in items:
        if (mark := item.get_closest_marker("slow")) is not None:
            assert _SLOW in item.path.read_text(encoding="utf-8"), (
                f"{item.path}: write pytest.{_SLOW} for each slow test"
            )
            seconds[item.path] += mark.args[0] if mark.args else 5
    items.sort(key=lambda item: -seconds[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs("program")` where the program is missing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    missing = [name for name in needed if shutil.which(name, path=path) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI, where `.ci/run` installs whatever a test needs."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longreprtext}"
    return report


@pytest.fixture
def free_port() -> int:
    """A port of the loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server for every test that leaves it as it was: starting one takes more than a second of a core.

    Others have made tables in it, and its counters, metrics and memory are those of all their requests.
    """
    with ServerProcess(tmp_path_factory.mktemp("shared") / "data") as running:
        yield running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 1 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    try:
        disk = SmallDisk(directory, 2**20)
    except PermissionError as error:
        pytest.skip(f"needs to mount a file system: {error}")
    with disk:
        yield disk
