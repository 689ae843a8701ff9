-- Where the relay takes an event: to Kafka, or to an event store, which forwards it.
ALTER TABLE tidings_outbox ADD COLUMN target TEXT NOT NULL DEFAULT 'kafka';
ALTER TABLE tidings_outbox_parked ADD COLUMN target TEXT NOT NULL DEFAULT 'kafka'
