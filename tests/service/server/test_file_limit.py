"""How many files and connections a process may have open."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path


def test_the_file_limit_is_raised() -> None:
    """The server may open as many files as the system lets it, not as many as the shell happens to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = (
        "import resource; from service.server.file_limit import raise_file_limit; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard})); raise_file_limit(1000); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(finished.stdout) == hard


def test_more_connections_than_files_are_refused(tmp_path: Path) -> None:
    """A server that could not hold max_connections does not start, and says how many it could."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "LRTABLES_MAX_CONNECTIONS": str(10**9)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert re.match(r"lrtables: max_connections must be at most \d+, got 1000000000: .*ulimit -Hn", finished.stderr)
