-- The same tables as for MySQL, for the embedded mode. Here a key is an index entry however long it is.

-- Keys of consumer groups that are parked. An operator's tool may set `request`; the group's member that has the partition
-- does it within a second or so.
CREATE TABLE IF NOT EXISTS tidings_parked_key (
    consumer_group TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    partition_id   INTEGER NOT NULL,
    record_key     BLOB    NOT NULL,
    records        INTEGER NOT NULL DEFAULT 0,
    request        TEXT    NULL,
    parked_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    PRIMARY KEY (consumer_group, topic, partition_id, record_key)
) STRICT, WITHOUT ROWID;

-- Their events, in the order of their offsets. Those without a cause wait behind one that failed.
CREATE TABLE IF NOT EXISTS tidings_parked_record (
    consumer_group TEXT    NOT NULL,
    topic          TEXT    NOT NULL,
    partition_id   INTEGER NOT NULL,
    record_key     BLOB    NOT NULL,
    record_offset  INTEGER NOT NULL,
    timestamp_ms   INTEGER NULL,
    headers        BLOB    NOT NULL,
    payload        BLOB    NULL,
    handler        TEXT    NULL,
    error_class    TEXT    NULL,
    error          TEXT    NULL,
    attempts       INTEGER NULL,
    first_failure  TEXT    NULL,
    parked_at      TEXT    NULL,
    PRIMARY KEY (consumer_group, topic, partition_id, record_key, record_offset)
) STRICT
