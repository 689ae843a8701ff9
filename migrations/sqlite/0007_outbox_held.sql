-- The same table as for MySQL, for the embedded mode: topics that take nothing, as the relays see them.
CREATE TABLE IF NOT EXISTS tidings_outbox_held (
    owner    TEXT NOT NULL,
    target   TEXT NOT NULL,
    topic    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    held_at  TEXT NOT NULL,
    retry_at TEXT NOT NULL,
    PRIMARY KEY (owner, target, topic)
) STRICT, WITHOUT ROWID
