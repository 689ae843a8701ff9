-- The same tables as for MySQL, for the embedded mode.

-- How far a dispatcher has handled each stream, written in its handlers' own transactions.
CREATE TABLE IF NOT EXISTS tidings_inbox (
    consumer_group TEXT    NOT NULL,
    dispatcher     TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    event_id       TEXT    NOT NULL,
    handled_at     TEXT    NOT NULL,
    PRIMARY KEY (consumer_group, dispatcher, source, stream)
) STRICT, WITHOUT ROWID;

-- Events that were passed over, as dead letters or by an operator. Each may still be handled once, however far its stream is.
CREATE TABLE IF NOT EXISTS tidings_inbox_hole (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer_group TEXT    NOT NULL,
    dispatcher     TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    stream         TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    event_id       TEXT    NOT NULL,
    passed_at      TEXT    NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS tidings_inbox_hole_position
    ON tidings_inbox_hole (consumer_group, dispatcher, source, stream, epoch, sequence);
CREATE INDEX IF NOT EXISTS tidings_inbox_hole_age ON tidings_inbox_hole (consumer_group, passed_at);

-- Events without a sequence, remembered by their id for a while.
CREATE TABLE IF NOT EXISTS tidings_inbox_event (
    id             INTEGER PRIMARY KEY,
    consumer_group TEXT    NOT NULL,
    dispatcher     TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    event_id       TEXT    NOT NULL,
    handled_at     TEXT    NOT NULL,
    UNIQUE (consumer_group, dispatcher, source, event_id)
) STRICT;

CREATE INDEX IF NOT EXISTS tidings_inbox_event_age ON tidings_inbox_event (consumer_group, handled_at)
