"""A real torchrun job that follows its run on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client import AmendmentRefusedError, Client
from scheduler import Spec
from scheduler.amendments import amend, parse_amendment
from scheduler.custom import WarmupWithDecay
from tests.support.servers.process import ServerProcess

WORKER = Path(__file__).with_name("following_worker.py")
SIZE, STEPS, HOLD, FROM_STEP = 3, 200, 25, 180
RUN = "team/bert"
SPEC = Spec(schedule=WarmupWithDecay(0.1, 20, STEPS), total_steps=STEPS)
AMENDMENT = {"template": "scale", "from_step": FROM_STEP, "factor": 0.5}
COOLED = amend(SPEC, parse_amendment(AMENDMENT))


def started(server: ServerProcess, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={SIZE}", str(WORKER)]
    options = [f"--url={server.url}", f"--name={RUN}", f"--steps={STEPS}", f"--hold={HOLD}", f"--folder={folder}"]
    quiet = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR", "LRTABLES_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [*command, *options], env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_until(condition: Callable[[], bool], job: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert job.poll() is None, job.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow(20)
def test_a_job_switches_at_one_step_with_a_slow_and_a_cut_off_rank_and_no_server(tmp_path: Path) -> None:
    """An amendment is adopted by all in one step, though a rank is slow, one cut off, and the server killed."""
    with ServerProcess(tmp_path / "data") as server, Client(server.url, cache=False) as client:
        client.create_run(RUN, SPEC)
        job = started(server, tmp_path)
        try:
            wait_until((tmp_path / "held").exists, job)
            wait_until(lambda: json.loads(server.get(f"/v1/runs/{RUN}/progress"))["highest"] == HOLD // 10 * 10, job)
            with pytest.raises(AmendmentRefusedError, match="rank-0"):
                client.amend(RUN, {**AMENDMENT, "from_step": HOLD // 10 * 10}, reason="too late")
            assert client.amend(RUN, AMENDMENT, reason="the loss is flat").digest == COOLED.table().digest
            (tmp_path / "go").touch()
            wait_until(lambda: all((tmp_path / f"switched.{rank}").exists() for rank in range(SIZE)), job)
            server.kill()  # between the amendment and its step
            _, errors = job.communicate(timeout=120)
        finally:
            if job.poll() is None:
                job.kill()
                job.communicate()
    assert job.returncode == 0, errors
    ranks: list[dict[str, Any]] = [json.loads((tmp_path / f"rank.{rank}").read_text()) for rank in range(SIZE)]
    table = COOLED.table()
    assert [rank["applied"] for rank in ranks] == [table.lr.tolist()] * SIZE
    assert table.lr[:FROM_STEP].tobytes() == SPEC.table().lr[:FROM_STEP].tobytes()
    assert [(rank["version"], rank["digest"]) for rank in ranks] == [(2, table.digest)] * SIZE
    (switch,) = ranks[0]["switches"]
    assert HOLD < switch < FROM_STEP
    assert [rank["switches"] for rank in ranks] == [[switch]] * SIZE
