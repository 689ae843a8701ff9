-- The epoch of streams that begin from now on: after a restore, streams that were begun since the copy was made are begun again. Servers
-- have it in the rows of their gates; SQLite has no gates, and one row.
CREATE TABLE IF NOT EXISTS tidings_outbox_gate (
    slot INTEGER NOT NULL PRIMARY KEY,
    first_epoch INTEGER NOT NULL DEFAULT 0
);

INSERT OR IGNORE INTO tidings_outbox_gate (slot) VALUES (0)
