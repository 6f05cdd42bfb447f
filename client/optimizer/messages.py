"""What a TableLR warns of, in words."""

from __future__ import annotations

from client.optimizer.scheduler_state import SavedState
from scheduler import Table

OTHER_WRITER = (
    "another writer changed the learning rate since this TableLR's last write, which it undoes now: "
    "two schedulers on one optimizer? A table with after='release' hands over to the next one at its end"
)

UNSEEN = (
    "the weights changed between calls of step(), and the optimizer's step hooks saw no update: no row was passed. "
    "That is right where weights are clamped or perturbed between updates; where updates are made past the hooks, call "
    "set_progress(n) after each, with the number of updates so far"
)
TOO_OFTEN = (
    "step() was called again though no weight has changed since the last call: rows are passed over, because this "
    "optimizer's updates cannot be seen. Call step() once after each update, or scheduler.advance(stepped=updated), "
    "where updated says whether there was one"
)

MOVED_BY_IGNITE = (
    "Ignite's LRScheduler moves a scheduler's position itself, and writes its rate and no other column: "
    "instead of it write client.trainers.ignite.attach_table(trainer, scheduler)"
)


def own_values(values: str) -> str:
    """The warning that one value for all replaces the groups' own."""
    return (
        f"the optimizer's groups have values of their own ({values}), which the table's one for all replaces. "
        "relative=True multiplies each group's own by the table's instead, as LambdaLR does; a table may have "
        "a column per group (lr.0, lr.1; client.layers.layer_decay makes the schedules); relative=False says "
        "that one for all is meant"
    )


def past_end(table: Table, progress: int) -> str:
    """The warning that the last values are held."""
    end = table.total_steps * table.stride
    return (
        f"{table.axis} {progress} is past the table's end, {end}: its last values are held. "
        "Fetch a table as long as the training"
    )


def never_stepped(start: int) -> str:
    """The warning that every update had the first row."""
    return (
        "this TableLR was never stepped, though its optimizer was: every update used "
        f"row {start}. Call scheduler.step() after optimizer.step()"
    )


def unknown_progress(axis: str) -> str:
    """The error of a `step()` that cannot know how far the training is."""
    return (
        f"the table counts {axis}s, and step() cannot know how many there were: "
        f"call set_progress(n) with the number of {axis}s so far, "
        f"or make the TableLR with per_step=N, the {axis}s of one update by all workers together"
    )


def other_optimizer(name: str) -> str:
    """The warning that the rates reach nothing."""
    return (
        f"another optimizer, {name}, updates the parameters of this TableLR's optimizer, which was never stepped: the "
        "table's rates reach nothing. Make the TableLR of the optimizer that trains. The HF Trainer takes "
        "optimizers=(optimizer, TableLR(optimizer, table)), or the class with_table(Trainer, table)"
    )


def unfollowed(axis: str) -> str:
    """The warning that rows moved on by themselves."""
    rows = "rows count updates" if axis == "step" else f"rows count the {axis}s of updates"
    return (
        f"an update followed another without a step() of this TableLR between them: {rows}, so the table has moved on "
        "by itself. Call step() after each update, or, where a row is meant for a whole epoch, make the table with "
        "axis='epoch'"
    )


def other_table(table: Table, state: SavedState, rates: list[float]) -> str:
    """The log's line of a state that goes on with another table, with the jump of each group's rate."""
    jumps = ", ".join(f"{old} -> {new}" for old, new in zip(state.values["lr"], rates, strict=True))
    start = f"{table.axis} {state.last_epoch}"
    return f"another table from {start} on: {table.digest} instead of {state.digest}, lr {jumps}"
