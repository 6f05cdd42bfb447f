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
