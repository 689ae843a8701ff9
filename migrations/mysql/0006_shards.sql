-- Every statement may run again: MySQL commits each of them by itself.

-- Where keys live that do not live here: they were moved to another shard, or are on their way. A publish of such a key fails.
CREATE TABLE IF NOT EXISTS tidings_moved_key (
    partition_key VARCHAR(255) NOT NULL,
    shard         VARCHAR(64)  NOT NULL COMMENT 'the shard it lives on, or is on its way to',
    state         VARCHAR(16)  NOT NULL COMMENT 'arriving here, leaving from here, or moved',
    changed_at    DATETIME(6)  NOT NULL,
    PRIMARY KEY (partition_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row a bucket of keys. Transactions of keys share its lock while they commit; who moves a key waits for them by taking it alone.
CREATE TABLE IF NOT EXISTS tidings_shard_gate (
    bucket TINYINT UNSIGNED NOT NULL,
    PRIMARY KEY (bucket)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO tidings_shard_gate (bucket) SELECT bucket FROM tidings_outbox_lease;

-- How keys are spread over the shards this database is one of: a service that would spread them otherwise is refused.
CREATE TABLE IF NOT EXISTS tidings_shard_layout (
    id     TINYINT UNSIGNED NOT NULL,
    shard  VARCHAR(64)      NOT NULL COMMENT 'the name of this database among the shards',
    layout TEXT             NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
