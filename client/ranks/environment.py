"""What launchers tell a process about its place in the job, in environment variables."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NamedTuple

_WORLD = (  # rank and size: torchrun and most others, srun, mpirun of Open MPI, of MPICH and Intel
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # set by srun; SLURM_NTASKS is also set where nobody has started tasks
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
_LOCAL = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")


class World(NamedTuple):
    """A process's number in the job, and the number of processes."""

    rank: int
    size: int


def world_of_environment() -> World | None:
    """The place that the launcher gave this process; None where no launcher did."""
    for rank, size in _WORLD:
        if rank in os.environ and size in os.environ:
            return World(_number(rank), _number(size))
    return None


def local_rank() -> int | None:
    """This process's number on its machine; None where no launcher gave it one."""
    name = next((name for name in _LOCAL if name in os.environ), None)
    return None if name is None else _number(name)


def is_first_rank() -> bool:
    """Whether this process says what a job is to say once: rank 0, or the only one, as far as is known."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    with suppress(ValueError):  # of a variable that is no number
        world = world_of_environment()
        return world is None or world.rank == 0
    return True


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise ValueError(f"the environment variable {name} must be a whole number, got {text!r}")
    return int(text)
