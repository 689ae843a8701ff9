-- The same tables as for MySQL, for the embedded mode. One writer at a time needs no gate.

-- Where keys live that do not live here: they were moved to another shard, or are on their way. A publish of such a key fails.
CREATE TABLE IF NOT EXISTS tidings_moved_key (
    partition_key TEXT NOT NULL,
    shard         TEXT NOT NULL,
    state         TEXT NOT NULL,
    changed_at    TEXT NOT NULL,
    PRIMARY KEY (partition_key)
) STRICT, WITHOUT ROWID;

-- How keys are spread over the shards this database is one of: a service that would spread them otherwise is refused.
CREATE TABLE IF NOT EXISTS tidings_shard_layout (
    id     INTEGER NOT NULL,
    shard  TEXT    NOT NULL,
    layout TEXT    NOT NULL,
    PRIMARY KEY (id)
) STRICT
