-- Every statement may run again: MySQL commits each of them by itself, and knows no ADD COLUMN IF NOT EXISTS.

-- The epoch of streams that begin from now on: after a restore, streams that were begun since the copy was made are begun again. Here,
-- since whoever publishes reads one of these rows anyway.
SET @tidings_change = (
    SELECT IF(COUNT(*) = 0,
        'ALTER TABLE tidings_outbox_gate ADD COLUMN first_epoch INT UNSIGNED NOT NULL DEFAULT 0',
        'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'tidings_outbox_gate' AND column_name = 'first_epoch'
);
PREPARE tidings_change FROM @tidings_change;
EXECUTE tidings_change;
DEALLOCATE PREPARE tidings_change
