-- Every statement may run again: MySQL commits each of them by itself.

-- Whoever writes to the outbox holds one of these two rows, shared, from before its events have ids until it commits. So a relay that
-- finds both of them free, one after the other, knows that every id given out before has committed or never will.
CREATE TABLE IF NOT EXISTS tidings_outbox_gate (
    slot TINYINT UNSIGNED NOT NULL,
    PRIMARY KEY (slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO tidings_outbox_gate (slot) VALUES (0), (1);

-- A stream is held back behind its parked events: whether it has any before an event is asked for each event that is read.
ALTER TABLE tidings_outbox_parked DROP KEY tidings_outbox_parked_stream, ADD KEY tidings_outbox_parked_stream (stream, epoch, sequence)
