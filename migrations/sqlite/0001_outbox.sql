-- The same tables as for MySQL, for the embedded mode.

-- One row for each stream. A transaction that publishes locks its streams' rows, and those only.
-- The check makes a publish fail whose mode, shard or key is not the one recorded here.
CREATE TABLE IF NOT EXISTS tidings_stream (
    stream         TEXT    NOT NULL,
    shard          TEXT    NOT NULL,
    mode           TEXT    NOT NULL,
    partition_key  TEXT    NOT NULL,
    epoch          INTEGER NOT NULL DEFAULT 0,
    sequence       INTEGER NOT NULL,
    PRIMARY KEY (stream),
    CONSTRAINT tidings_stream_agrees CHECK (sequence >= 0)
) STRICT;

-- Events on their way. Columns named after a header hold exactly its text, so that a change-data-capture
-- connector can route these rows without converting them.
CREATE TABLE IF NOT EXISTS tidings_outbox (
    bucket         INTEGER NOT NULL,
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       TEXT    NOT NULL,
    partition_key  TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    event_type     TEXT    NOT NULL,
    schema_version TEXT    NOT NULL,
    occurred_at    TEXT    NOT NULL,
    recorded_at    TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NULL,
    data_schema    TEXT    NOT NULL,
    spec_version   TEXT    NOT NULL DEFAULT '1.0',
    content_type   TEXT    NOT NULL DEFAULT 'application/avro',
    traceparent    TEXT    NOT NULL,
    tracestate     TEXT    NULL,
    created_at     TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    payload        BLOB    NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS tidings_outbox_bucket ON tidings_outbox (bucket, id);

-- Events that Kafka refuses, with the reason.
CREATE TABLE IF NOT EXISTS tidings_outbox_parked (
    bucket         INTEGER NOT NULL,
    id             INTEGER NOT NULL,
    event_id       TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       TEXT    NOT NULL,
    partition_key  TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    event_type     TEXT    NOT NULL,
    schema_version TEXT    NOT NULL,
    occurred_at    TEXT    NOT NULL,
    recorded_at    TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NULL,
    data_schema    TEXT    NOT NULL,
    spec_version   TEXT    NOT NULL DEFAULT '1.0',
    content_type   TEXT    NOT NULL DEFAULT 'application/avro',
    traceparent    TEXT    NOT NULL,
    tracestate     TEXT    NULL,
    created_at     TEXT    NOT NULL,
    payload        BLOB    NOT NULL,
    reason         TEXT    NOT NULL,
    parked_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    PRIMARY KEY (event_id)
) STRICT;

CREATE INDEX IF NOT EXISTS tidings_outbox_parked_stream ON tidings_outbox_parked (stream);

-- Who publishes each bucket, until when by this database's clock. The epoch grows with each owner.
CREATE TABLE IF NOT EXISTS tidings_outbox_lease (
    bucket         INTEGER NOT NULL,
    owner          TEXT    NULL,
    address        TEXT    NULL,
    epoch          INTEGER NOT NULL DEFAULT 0,
    expires_at     TEXT    NOT NULL DEFAULT '2000-01-01 00:00:00',
    PRIMARY KEY (bucket)
) STRICT;

-- The relays that share the buckets.
CREATE TABLE IF NOT EXISTS tidings_outbox_relay (
    owner          TEXT    NOT NULL,
    address        TEXT    NULL,
    expires_at     TEXT    NOT NULL,
    PRIMARY KEY (owner)
) STRICT;

WITH RECURSIVE buckets (bucket) AS (SELECT 0 UNION ALL SELECT bucket + 1 FROM buckets WHERE bucket < 255)
INSERT OR IGNORE INTO tidings_outbox_lease (bucket) SELECT bucket FROM buckets
