-- Every statement may run again: MySQL commits each of them by itself.

-- Keys of consumer groups that are parked. Whoever changes a key's events locks its row first, which keeps the count right.
-- An operator's tool may set `request`; the group's member that has the partition does it within a second or so.
CREATE TABLE IF NOT EXISTS tidings_parked_key (
    consumer_group VARCHAR(255)    NOT NULL,
    topic          VARCHAR(249)    NOT NULL,
    partition_id   INT             NOT NULL,
    key_hash       BINARY(32)      NOT NULL COMMENT 'SHA-256 of record_key, which may be longer than an index takes',
    record_key     LONGBLOB        NOT NULL,
    records        BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'how many of its events wait in tidings_parked_record',
    request        VARCHAR(16)     NULL COMMENT 'what is asked of it: release, skip or discard',
    parked_at      DATETIME(6)     NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    PRIMARY KEY (consumer_group, topic, partition_id, key_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Their events, in the order of their offsets. Those without a cause wait behind one that failed.
CREATE TABLE IF NOT EXISTS tidings_parked_record (
    consumer_group VARCHAR(255) NOT NULL,
    topic          VARCHAR(249) NOT NULL,
    partition_id   INT          NOT NULL,
    key_hash       BINARY(32)   NOT NULL,
    record_offset  BIGINT       NOT NULL,
    timestamp_ms   BIGINT       NULL COMMENT 'the timestamp of the record, in milliseconds since 1970',
    headers        LONGBLOB     NOT NULL COMMENT 'as they stand in a Kafka record (KIP-82)',
    payload        LONGBLOB     NULL,
    handler        TEXT         NULL COMMENT 'the handler that failed',
    error_class    VARCHAR(64)  NULL,
    error          LONGTEXT     NULL COMMENT 'the error and its causes',
    attempts       INT UNSIGNED NULL,
    first_failure  VARCHAR(40)  NULL COMMENT 'RFC 3339, in UTC',
    parked_at      VARCHAR(40)  NULL COMMENT 'RFC 3339, in UTC',
    PRIMARY KEY (consumer_group, topic, partition_id, key_hash, record_offset)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
