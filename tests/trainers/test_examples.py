"""Every example of a trainer runs with the real package, and prints rates of its table."""

import os
from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded

ROOT = Path(__file__).parents[2]
HALVES = ["update 2: lr 0.100000", "update 8: lr 0.075000", "update 10: lr 0.058682", "update 18: lr 0.003015"]
EXPECTED = {  # arguments, and what the output then has
    "trainer_accelerate.py": (["--steps", "20"], HALVES),
    "trainer_deepspeed.py": (["--steps", "20"], HALVES),
    "trainer_fsdp.py": (["--steps", "20"], HALVES),
    "trainer_huggingface.py": (
        ["--steps", "20"],
        ["update 1: lr 0.010000", "update 19: lr 0.000076\nagain, from update 10\n", "update 11: lr 0.005000"],
    ),
    "trainer_keras.py": (["--steps", "40"], ["update 0: lr 0.025000", "update 20: lr 0.058682", "40 updates"]),
    "trainer_ignite.py": (
        ["--steps", "20"],
        [
            "update 1: lr 0.010000",
            "update 19: lr 0.000076\nagain, from the checkpoint in the middle\nupdate 11: lr 0.005",
        ],
    ),
    "trainer_lightning.py": (
        ["--steps", "20"],
        ["update 2: lr 0.010000", "again, from the checkpoint in the middle\nupdate 10: lr 0.005868"],
    ),
    "trainer_skorch.py": (["--steps", "20"], ["epoch 1: lr 0.005000 to 0.010000", "epoch 10: lr 0.000302 to 0.000076"]),
    "trainer_timm.py": (["--steps", "20"], ["update 1: lr 0.010000", "update 19: lr 0.000076"]),
    "trainer_optax.py": (["--steps", "100"], ["step 10: lr 0.100000", "after 100 updates"]),
}


def test_every_example_of_a_trainer_is_run() -> None:
    """No example is forgotten here."""
    assert {path.name for path in (ROOT / "examples").glob("trainer_*.py")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_of_a_trainer_is_short(name: str) -> None:
    """An example fits a screen."""
    assert len((ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_of_a_trainer_runs(name: str, tmp_path: Path, preloaded: Preloaded) -> None:
    """The example runs in small, in a process of its own, and gives no ScheduleWarning."""
    arguments, expected = EXPECTED[name]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = preloaded.run(
        [str(ROOT / "examples" / name), *arguments],
        folder=tmp_path,
        environment={**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "ScheduleWarning" not in done.stderr
    assert [text for text in expected if text not in done.stdout] == []
