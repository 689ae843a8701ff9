-- Every statement may run again: MySQL commits each of them by itself.

-- One row for each stream. A transaction that publishes locks its streams' rows, and those only.
-- The check makes a publish fail whose mode, shard or key is not the one recorded here.
CREATE TABLE IF NOT EXISTS tidings_stream (
    stream        VARCHAR(255)    NOT NULL COMMENT 'the entity whose events these are, Account/42',
    shard         VARCHAR(64)     NOT NULL COMMENT 'the name of this database among the shards',
    mode          VARCHAR(16)     NOT NULL COMMENT 'how its events are delivered: outbox, direct',
    partition_key VARCHAR(255)    NOT NULL COMMENT 'the key of all its events',
    epoch         INT UNSIGNED    NOT NULL DEFAULT 0,
    sequence      BIGINT          NOT NULL COMMENT 'the last sequence given out',
    PRIMARY KEY (stream),
    CONSTRAINT tidings_stream_agrees CHECK (sequence >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Events on their way. Columns named after a header hold exactly its text, so that a change-data-capture
-- connector can route these rows without converting them.
CREATE TABLE IF NOT EXISTS tidings_outbox (
    bucket         TINYINT UNSIGNED NOT NULL COMMENT 'which relay: a hash of the key',
    id             BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    event_id       CHAR(36)         NOT NULL COMMENT 'ce_id',
    topic          VARCHAR(249)     NOT NULL,
    stream         VARCHAR(255)     NOT NULL COMMENT 'ce_subject',
    epoch          INT UNSIGNED     NOT NULL COMMENT 'ce_streamepoch',
    sequence       CHAR(20)         NOT NULL COMMENT 'ce_sequence, padded with zeros',
    partition_key  VARCHAR(255)     NOT NULL COMMENT 'ce_partitionkey, and the key of the record',
    source         VARCHAR(255)     NOT NULL COMMENT 'ce_source',
    event_type     VARCHAR(255)     NOT NULL COMMENT 'ce_type',
    schema_version VARCHAR(64)      NOT NULL COMMENT 'ce_schemaversion',
    occurred_at    VARCHAR(40)      NOT NULL COMMENT 'ce_time',
    recorded_at    VARCHAR(40)      NOT NULL COMMENT 'ce_recordedtime',
    correlation_id VARCHAR(1024)    NOT NULL COMMENT 'ce_correlationid',
    causation_id   VARCHAR(1024)    NULL COMMENT 'ce_causationid',
    data_schema    TEXT             NOT NULL COMMENT 'ce_dataschema',
    spec_version   VARCHAR(8)       NOT NULL DEFAULT '1.0' COMMENT 'ce_specversion',
    content_type   VARCHAR(64)      NOT NULL DEFAULT 'application/avro' COMMENT 'content-type',
    traceparent    VARCHAR(64)      NOT NULL COMMENT 'traceparent',
    tracestate     TEXT             NULL COMMENT 'tracestate',
    created_at     DATETIME(6)      NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    payload        LONGBLOB         NOT NULL,
    PRIMARY KEY (bucket, id),
    KEY tidings_outbox_id (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Events that Kafka refuses, with the reason.
CREATE TABLE IF NOT EXISTS tidings_outbox_parked (
    bucket         TINYINT UNSIGNED NOT NULL,
    id             BIGINT UNSIGNED  NOT NULL COMMENT 'the id it had in tidings_outbox',
    event_id       CHAR(36)         NOT NULL,
    topic          VARCHAR(249)     NOT NULL,
    stream         VARCHAR(255)     NOT NULL,
    epoch          INT UNSIGNED     NOT NULL,
    sequence       CHAR(20)         NOT NULL,
    partition_key  VARCHAR(255)     NOT NULL,
    source         VARCHAR(255)     NOT NULL,
    event_type     VARCHAR(255)     NOT NULL,
    schema_version VARCHAR(64)      NOT NULL,
    occurred_at    VARCHAR(40)      NOT NULL,
    recorded_at    VARCHAR(40)      NOT NULL,
    correlation_id VARCHAR(1024)    NOT NULL,
    causation_id   VARCHAR(1024)    NULL,
    data_schema    TEXT             NOT NULL,
    spec_version   VARCHAR(8)       NOT NULL DEFAULT '1.0',
    content_type   VARCHAR(64)      NOT NULL DEFAULT 'application/avro',
    traceparent    VARCHAR(64)      NOT NULL,
    tracestate     TEXT             NULL,
    created_at     DATETIME(6)      NOT NULL,
    payload        LONGBLOB         NOT NULL,
    reason         TEXT             NOT NULL,
    parked_at      DATETIME(6)      NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    PRIMARY KEY (event_id),
    KEY tidings_outbox_parked_stream (stream)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who publishes each bucket, until when by this database's clock. The epoch grows with each owner.
CREATE TABLE IF NOT EXISTS tidings_outbox_lease (
    bucket     TINYINT UNSIGNED NOT NULL,
    owner      CHAR(36)         NULL,
    address    VARCHAR(255)     NULL COMMENT 'where the owner listens for wake-ups',
    epoch      BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    expires_at DATETIME(6)      NOT NULL DEFAULT '2000-01-01 00:00:00',
    PRIMARY KEY (bucket)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The relays that share the buckets.
CREATE TABLE IF NOT EXISTS tidings_outbox_relay (
    owner      CHAR(36)     NOT NULL,
    address    VARCHAR(255) NULL,
    expires_at DATETIME(6)  NOT NULL,
    PRIMARY KEY (owner)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO tidings_outbox_lease (bucket)
SELECT high.digit * 16 + low.digit
FROM (SELECT 0 digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5
      UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11
      UNION ALL SELECT 12 UNION ALL SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15) high
CROSS JOIN
     (SELECT 0 digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5
      UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11
      UNION ALL SELECT 12 UNION ALL SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15) low
WHERE NOT EXISTS (SELECT 1 FROM tidings_outbox_lease)
