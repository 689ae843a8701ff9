-- Every statement may run again: MySQL commits each of them by itself, and knows no ADD COLUMN IF NOT EXISTS.

-- Where the relay takes an event: to Kafka, or to an event store, which forwards it.
SET @tidings_change = (
    SELECT IF(COUNT(*) = 0,
        'ALTER TABLE tidings_outbox ADD COLUMN target VARCHAR(16) NOT NULL DEFAULT ''kafka'' COMMENT ''kafka or store''',
        'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'tidings_outbox' AND column_name = 'target'
);
PREPARE tidings_change FROM @tidings_change;
EXECUTE tidings_change;
DEALLOCATE PREPARE tidings_change;

SET @tidings_change = (
    SELECT IF(COUNT(*) = 0,
        'ALTER TABLE tidings_outbox_parked ADD COLUMN target VARCHAR(16) NOT NULL DEFAULT ''kafka''',
        'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'tidings_outbox_parked' AND column_name = 'target'
);
PREPARE tidings_change FROM @tidings_change;
EXECUTE tidings_change;
DEALLOCATE PREPARE tidings_change
