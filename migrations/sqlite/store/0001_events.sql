-- The same tables as for MySQL, for the embedded mode.

-- One row for each stream of each service.
CREATE TABLE IF NOT EXISTS tidings_store_stream (
    source         TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    writer         TEXT    NOT NULL,
    partition_key  TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    PRIMARY KEY (source, stream)
) STRICT;

-- The events, for ever. Their ids say nothing about their order: that is tidings_store_position.
CREATE TABLE IF NOT EXISTS tidings_store_event (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT    NOT NULL UNIQUE,
    source         TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    bucket         INTEGER NOT NULL,
    topic          TEXT    NOT NULL,
    partition_key  TEXT    NOT NULL,
    event_type     TEXT    NOT NULL,
    schema_version TEXT    NOT NULL,
    occurred_at    TEXT    NOT NULL,
    recorded_at    TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NULL,
    data_schema    TEXT    NOT NULL,
    traceparent    TEXT    NOT NULL,
    tracestate     TEXT    NULL,
    stored_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    payload        BLOB    NOT NULL,
    UNIQUE (source, stream, epoch, sequence)
) STRICT;

-- Events that have no position yet. The row is written with the event and deleted with the position's.
CREATE TABLE IF NOT EXISTS tidings_store_pending (event INTEGER PRIMARY KEY) STRICT;

-- The order in which subscriptions see events: 1, 2, 3 and so on, given out after the commit.
CREATE TABLE IF NOT EXISTS tidings_store_position (
    position INTEGER PRIMARY KEY,
    event    INTEGER NOT NULL UNIQUE
) STRICT;

-- Which process gives out positions, until when by this database's clock, and the last one given out.
-- The check makes a process fail that has lost the lease and does not know.
CREATE TABLE IF NOT EXISTS tidings_store_sequencer (
    id         INTEGER PRIMARY KEY,
    owner      TEXT    NULL,
    epoch      INTEGER NOT NULL DEFAULT 0,
    position   INTEGER NOT NULL DEFAULT 0,
    expires_at TEXT    NOT NULL DEFAULT '2000-01-01 00:00:00',
    CONSTRAINT tidings_store_sequencer_holds CHECK (position >= 0)
) STRICT;

INSERT OR IGNORE INTO tidings_store_sequencer (id) VALUES (1);

-- What was stored stays as it is.
CREATE TRIGGER IF NOT EXISTS tidings_store_event_no_update BEFORE UPDATE ON tidings_store_event
    BEGIN SELECT RAISE(ABORT, 'tidings_store_event is append-only'); END;
CREATE TRIGGER IF NOT EXISTS tidings_store_event_no_delete BEFORE DELETE ON tidings_store_event
    BEGIN SELECT RAISE(ABORT, 'tidings_store_event is append-only'); END;
CREATE TRIGGER IF NOT EXISTS tidings_store_position_no_update BEFORE UPDATE ON tidings_store_position
    BEGIN SELECT RAISE(ABORT, 'tidings_store_position is append-only'); END;
CREATE TRIGGER IF NOT EXISTS tidings_store_position_no_delete BEFORE DELETE ON tidings_store_position
    BEGIN SELECT RAISE(ABORT, 'tidings_store_position is append-only'); END
