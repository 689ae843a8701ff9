-- The epoch of streams that begin from now on: after a restore, streams that were begun since the copy was made are begun again.
ALTER TABLE tidings_store_sequencer ADD COLUMN first_epoch INTEGER NOT NULL DEFAULT 0
