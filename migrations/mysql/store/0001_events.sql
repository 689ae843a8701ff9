-- The tables of the event store, in a database of the store's own: services do not get them.
-- Every statement may run again: MySQL commits each of them by itself.

-- One row for each stream of each service. An append locks its streams' rows, in the order of the primary key.
CREATE TABLE IF NOT EXISTS tidings_store_stream (
    source        VARCHAR(250)    NOT NULL COMMENT 'ce_source: whose stream it is',
    stream        VARCHAR(255)    NOT NULL,
    writer        VARCHAR(16)     NOT NULL COMMENT 'who numbers its events: outbox, store',
    partition_key VARCHAR(255)    NOT NULL COMMENT 'the key of all its events',
    epoch         INT UNSIGNED    NOT NULL,
    sequence      BIGINT UNSIGNED NOT NULL COMMENT 'the last one stored in this epoch',
    PRIMARY KEY (source, stream)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The events, for ever. Their ids say nothing about their order: that is tidings_store_position.
CREATE TABLE IF NOT EXISTS tidings_store_event (
    id             BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    event_id       CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'ce_id',
    source         VARCHAR(250)     NOT NULL COMMENT 'ce_source',
    stream         VARCHAR(255)     NOT NULL COMMENT 'ce_subject',
    epoch          INT UNSIGNED     NOT NULL COMMENT 'ce_streamepoch',
    sequence       BIGINT UNSIGNED  NOT NULL COMMENT 'ce_sequence',
    bucket         TINYINT UNSIGNED NOT NULL COMMENT 'of the outbox, when it is forwarded',
    topic          VARCHAR(249)     NOT NULL,
    partition_key  VARCHAR(255)     NOT NULL COMMENT 'ce_partitionkey',
    event_type     VARCHAR(255)     NOT NULL COMMENT 'ce_type',
    schema_version VARCHAR(64)      NOT NULL COMMENT 'ce_schemaversion',
    occurred_at    VARCHAR(40)      NOT NULL COMMENT 'ce_time',
    recorded_at    VARCHAR(40)      NOT NULL COMMENT 'ce_recordedtime',
    correlation_id VARCHAR(1024)    NOT NULL COMMENT 'ce_correlationid',
    causation_id   VARCHAR(1024)    NULL COMMENT 'ce_causationid',
    data_schema    TEXT             NOT NULL COMMENT 'ce_dataschema',
    traceparent    VARCHAR(64)      NOT NULL COMMENT 'traceparent',
    tracestate     TEXT             NULL COMMENT 'tracestate',
    stored_at      DATETIME(6)      NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    payload        LONGBLOB         NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY tidings_store_event_id (event_id),
    UNIQUE KEY tidings_store_event_stream (source, stream, epoch, sequence)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Events that have no position yet. The row is written with the event and deleted with the position's.
CREATE TABLE IF NOT EXISTS tidings_store_pending (
    event BIGINT UNSIGNED NOT NULL COMMENT 'tidings_store_event.id',
    PRIMARY KEY (event)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The order in which subscriptions see events: 1, 2, 3 and so on, given out after the commit.
CREATE TABLE IF NOT EXISTS tidings_store_position (
    position BIGINT UNSIGNED NOT NULL,
    event    BIGINT UNSIGNED NOT NULL COMMENT 'tidings_store_event.id',
    PRIMARY KEY (position),
    UNIQUE KEY tidings_store_position_event (event)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which replica gives out positions, until when by this database's clock, and the last one given out.
-- The check makes a replica fail that has lost the lease and does not know.
CREATE TABLE IF NOT EXISTS tidings_store_sequencer (
    id         TINYINT UNSIGNED NOT NULL,
    owner      CHAR(36)         NULL,
    epoch      BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    position   BIGINT           NOT NULL DEFAULT 0,
    expires_at DATETIME(6)      NOT NULL DEFAULT '2000-01-01 00:00:00',
    PRIMARY KEY (id),
    CONSTRAINT tidings_store_sequencer_holds CHECK (position >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO tidings_store_sequencer (id) VALUES (1);

-- What was stored stays as it is.
DROP TRIGGER IF EXISTS tidings_store_event_no_update;
CREATE TRIGGER tidings_store_event_no_update BEFORE UPDATE ON tidings_store_event FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tidings_store_event is append-only';
DROP TRIGGER IF EXISTS tidings_store_event_no_delete;
CREATE TRIGGER tidings_store_event_no_delete BEFORE DELETE ON tidings_store_event FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tidings_store_event is append-only';
DROP TRIGGER IF EXISTS tidings_store_position_no_update;
CREATE TRIGGER tidings_store_position_no_update BEFORE UPDATE ON tidings_store_position FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tidings_store_position is append-only';
DROP TRIGGER IF EXISTS tidings_store_position_no_delete;
CREATE TRIGGER tidings_store_position_no_delete BEFORE DELETE ON tidings_store_position FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tidings_store_position is append-only'
