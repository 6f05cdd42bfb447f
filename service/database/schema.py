"""The tables of the database, as the newest migration leaves them. Each belongs to one aggregate."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, MetaData, Table, Text

# Byte order, whatever the server's locale: pages and backups come in the same order from both databases.
_Key = Text().with_variant(Text(collation="C"), "postgresql")


def _checksum() -> Column[str]:
    return Column(
        "checksum", Text, nullable=False, doc="SHA-256 of the row's other values: see `service.database.rows.checksum`"
    )


SCHEMA = MetaData()

# WITHOUT ROWID: the row and its key are stored once, so that a damaged key cannot differ between table and index.
# No foreign key: where a damaged row of `tables` was dropped, its spec stays, and the next record inserts the row anew.
TABLES = Table(
    "tables",
    SCHEMA,
    Column("digest", _Key, primary_key=True),
    Column("nbytes", BigInteger, nullable=False, doc="size of the table's values"),
    Column("claim", Text, doc="JSON of what its publisher said of it; NULL if it was computed, or nothing was said"),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    _checksum(),
    Index("tables_created_at", "created_at"),
    sqlite_with_rowid=False,
)

SPECS = Table(
    "specs",
    SCHEMA,
    Column("spec_id", _Key, primary_key=True),
    Column("spec", Text, nullable=False, doc="JSON"),
    Column("digest", Text, nullable=False, doc="the table that was recorded first for the spec: authoritative"),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    Column("provenance", Text, doc="JSON of the versions that computed the table; NULL if unknown"),
    _checksum(),
    Index("specs_digest", "digest"),
    sqlite_with_rowid=False,
)

# The names in the database are those of migration 0004, which made the table, and of every backup since.
PENDING_DELETIONS = Table(
    "condemned",
    SCHEMA,
    Column("digest", _Key, primary_key=True, doc="of a table whose file `gc` is about to delete, or has deleted"),
    Column("condemned_at", Double, nullable=False, doc="seconds since 1970"),
    _checksum(),
    sqlite_with_rowid=False,
)

TOKENS = Table(
    "tokens",
    SCHEMA,
    Column("token_id", _Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True, doc="SHA-256 of the token, in hexadecimal digits"),
    Column("scopes", Text, nullable=False, doc="JSON list"),
    Column("namespaces", Text, nullable=False, doc="JSON list"),
    Column("limits", Text, nullable=False, doc="JSON object"),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    Column("expires_at", Double, doc="seconds since 1970; NULL for never"),
    Column("revoked_at", Double, doc="seconds since 1970; NULL while it is valid"),
    _checksum(),
    sqlite_with_rowid=False,
)

# No foreign keys here either: what a damaged row names is reported by `lrtables verify`, and nothing is lost with it.
RUNS = Table(
    "runs",
    SCHEMA,
    Column("namespace", _Key, primary_key=True),
    Column("name", _Key, primary_key=True),
    Column("version", BigInteger, nullable=False, doc="of the newest row in run_versions"),
    Column("digest", Text, nullable=False, doc="the table of that version"),
    Column("kind", Text, doc="kind of the first group's schedule; NULL for a table without a spec"),
    Column("labels", Text, nullable=False, doc="JSON object of texts"),
    Column("rules", Text, nullable=False, doc="JSON object: the guard rails for changes"),
    Column("locked", BigInteger, nullable=False, doc="1 while it refuses every change"),
    Column("deleted", BigInteger, nullable=False, doc="1 if the newest version is a tombstone"),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    Column("changed_at", Double, nullable=False, doc="seconds since 1970, of the newest version"),
    Column("revision", BigInteger, doc="how often it was set anew (lock, labels, rules) at this version; NULL: never"),
    Column("branch", BigInteger, doc="reports of workers that follow an older version do not count; NULL: all count"),
    _checksum(),
    Index("runs_digest", "digest"),
    Index("runs_created_at", "created_at"),
    sqlite_with_rowid=False,
)

RUN_VERSIONS = Table(
    "run_versions",
    SCHEMA,
    Column("namespace", _Key, primary_key=True),
    Column("name", _Key, primary_key=True),
    Column("version", BigInteger, primary_key=True, doc="1, 2, ... without a gap"),
    Column("action", Text, nullable=False, doc="create, move, amend, rewind, rollback, delete"),
    Column("digest", Text, nullable=False),
    Column("total_steps", BigInteger, nullable=False, doc="rows of the table"),
    Column("axis", Text, nullable=False, doc="what the rows count"),
    Column("stride", BigInteger, nullable=False, doc="units of progress per row"),
    Column("kind", Text, doc="kind of the first group's schedule; NULL for a table without a spec"),
    Column("spec_id", Text, doc="NULL for a table without a spec"),
    Column("spec", Text, doc="JSON; NULL for a table without a spec"),
    Column("parent", BigInteger, doc="the version that it was made from; NULL for the first"),
    Column("from_step", BigInteger, doc="first row that may differ from the parent's; NULL where none is known"),
    Column("amendment", Text, doc="JSON of the amendment as it was asked for; NULL for other actions"),
    Column("author", Text, nullable=False, doc="name of the token; empty where none is required"),
    Column("token_id", Text, nullable=False, doc="empty where no token is required"),
    Column("reason", Text),
    Column("link", Text),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    _checksum(),
    Index("run_versions_digest", "digest"),
    sqlite_with_rowid=False,
)

RUN_PROPOSALS = Table(
    "run_proposals",
    SCHEMA,
    Column("namespace", _Key, primary_key=True),
    Column("name", _Key, primary_key=True),
    Column("proposal", BigInteger, primary_key=True, doc="1, 2, ... without a gap"),
    Column("base_version", BigInteger, nullable=False, doc="the run's version that it was made for"),
    Column("amendment", Text, nullable=False, doc="JSON of the amendment"),
    Column("author", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("reason", Text),
    Column("link", Text),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    Column("state", Text, nullable=False, doc="open, approved, rejected"),
    Column("decided_by", Text, doc="name of the token that approved or rejected it"),
    Column("decided_at", Double, doc="seconds since 1970"),
    Column("version", BigInteger, doc="the version that its approval made"),
    _checksum(),
    sqlite_with_rowid=False,
)

RUN_PROGRESS = Table(
    "run_progress",
    SCHEMA,
    Column("namespace", _Key, primary_key=True),
    Column("name", _Key, primary_key=True),
    Column("worker", _Key, primary_key=True),
    Column("step", BigInteger, nullable=False, doc="progress in units of the table's axis"),
    Column("reported_at", Double, nullable=False, doc="seconds since 1970"),
    Column("version", BigInteger, doc="of the run, which the worker follows; NULL where it has not said"),
    _checksum(),
    Index("run_progress_step", "namespace", "name", "step"),
    sqlite_with_rowid=False,
)

CHANGES = Table(
    "changes",
    SCHEMA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False, doc="1, 2, ... in the order of the commits"),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False, doc="the run's newest version then"),
    Column(
        "action",
        Text,
        nullable=False,
        doc="that of the version; or lock, unlock, rules, labels, propose, reject, forget",
    ),
    Column("digest", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", Double, nullable=False, doc="seconds since 1970"),
    Column("reason", Text),
    Column("details", Text, doc="JSON of what was set, or of the proposal; NULL where there is nothing to tell"),
    _checksum(),
    sqlite_with_rowid=False,
)
