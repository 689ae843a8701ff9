-- SQLite has one writer at a time: there is no gate.

-- A stream is held back behind its parked events: whether it has any before an event is asked for each event that is read.
DROP INDEX IF EXISTS tidings_outbox_parked_stream;
CREATE INDEX IF NOT EXISTS tidings_outbox_parked_stream ON tidings_outbox_parked (stream, epoch, sequence)
