-- Every statement may run again: MySQL commits each of them by itself.

-- Topics that take nothing, as the relays see them: what goes there waits in the outbox. For whoever asks; no relay reads it.
CREATE TABLE IF NOT EXISTS tidings_outbox_held (
    owner    CHAR(36)     NOT NULL COMMENT 'the relay that holds its events back',
    target   VARCHAR(16)  NOT NULL COMMENT 'kafka or store',
    topic    VARCHAR(255) NOT NULL,
    reason   TEXT         NOT NULL,
    held_at  DATETIME(6)  NOT NULL,
    retry_at DATETIME(6)  NOT NULL,
    PRIMARY KEY (owner, target, topic)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
