"""Contradictions between the rows of named runs, for `lrtables verify`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Select, and_, exists, func, or_, select

from service.database.database import Database
from service.database.schema import RUN_VERSIONS, RUNS, TABLES

_HEAD, _VERSION = RUNS.c, RUN_VERSIONS.c
_OF_RUN = and_(_VERSION.namespace == _HEAD.namespace, _VERSION.name == _HEAD.name)


def problems_of(database: Database) -> Iterator[str]:
    """Yield a line for each contradiction. Damaged rows are looked at as they are: another check reports them."""
    for row in database.fetch(_heads_without_version()):
        yield f"run {row['namespace']}/{row['name']} has no version {row['version']} with its table, which is its head"
    for row in database.fetch(_incomplete_histories()):
        yield f"run {row['namespace']}/{row['name']} has {row['number']} versions, and the newest is {row['newest']}"
    for row in database.fetch(_versions_without_run()):
        yield f"run {row['namespace']}/{row['name']} has versions, but no head"
    for row in database.fetch(_versions_without_table()):
        yield (
            f"run {row['namespace']}/{row['name']}, version {row['version']}: "
            f"there is no row for its table {row['digest']}"
        )


def _heads_without_version() -> Select[tuple[str, str, int]]:
    """Heads whose version is missing, names another table, or is not the newest."""
    same = exists().where(_OF_RUN, _VERSION.version == _HEAD.version, _VERSION.digest == _HEAD.digest)
    later = exists().where(_OF_RUN, _VERSION.version > _HEAD.version)
    query = select(_HEAD.namespace, _HEAD.name, _HEAD.version).where(or_(~same, later))
    return query.order_by(_HEAD.namespace, _HEAD.name)


def _incomplete_histories() -> Select[tuple[str, str, int, int]]:
    """Runs whose versions are not 1, 2, ... without a gap."""
    number, newest = func.count().label("number"), func.max(_VERSION.version).label("newest")
    grouped = select(_VERSION.namespace, _VERSION.name, number, newest).group_by(_VERSION.namespace, _VERSION.name)
    return grouped.having(or_(newest != number, func.min(_VERSION.version) != 1)).order_by(
        _VERSION.namespace, _VERSION.name
    )


def _versions_without_run() -> Select[tuple[str, str]]:
    query = select(_VERSION.namespace, _VERSION.name).distinct().where(~exists().where(_OF_RUN))
    return query.order_by(_VERSION.namespace, _VERSION.name)


def _versions_without_table() -> Select[tuple[str, str, int, str]]:
    query = select(_VERSION.namespace, _VERSION.name, _VERSION.version, _VERSION.digest)
    return query.where(~exists().where(TABLES.c.digest == _VERSION.digest)).order_by(
        _VERSION.namespace, _VERSION.name, _VERSION.version
    )
