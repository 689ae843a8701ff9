-- Every statement may run again: MySQL commits each of them by itself.

-- How far a dispatcher has handled each stream, written in its handlers' own transactions.
CREATE TABLE IF NOT EXISTS tidings_inbox (
    consumer_group VARCHAR(255) NOT NULL,
    dispatcher     VARCHAR(64)  NOT NULL,
    source         VARCHAR(180) NOT NULL COMMENT 'ce_source without its slash: the publishing service',
    stream         VARCHAR(255) NOT NULL COMMENT 'ce_subject',
    epoch          INT UNSIGNED NOT NULL COMMENT 'ce_streamepoch',
    sequence       BIGINT       NOT NULL COMMENT 'the last ce_sequence, -1 before the first',
    event_id       VARCHAR(255) NOT NULL COMMENT 'ce_id of the event with that sequence',
    handled_at     DATETIME(6)  NOT NULL,
    PRIMARY KEY (consumer_group, dispatcher, source, stream)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Events that were passed over, as dead letters or by an operator. Each may still be handled once, however far its stream is.
CREATE TABLE IF NOT EXISTS tidings_inbox_hole (
    id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    consumer_group VARCHAR(255) NOT NULL,
    dispatcher     VARCHAR(64)  NOT NULL,
    source         VARCHAR(180) NOT NULL,
    stream         VARCHAR(255) NOT NULL,
    epoch          INT UNSIGNED NOT NULL,
    sequence       BIGINT       NOT NULL,
    event_id       VARCHAR(255) NOT NULL,
    passed_at      DATETIME(6)  NOT NULL,
    PRIMARY KEY (id),
    KEY tidings_inbox_hole_position (consumer_group, dispatcher, source, stream, epoch, sequence),
    KEY tidings_inbox_hole_age (consumer_group, passed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Events without a sequence, remembered by their id for a while.
CREATE TABLE IF NOT EXISTS tidings_inbox_event (
    consumer_group VARCHAR(255) NOT NULL,
    dispatcher     VARCHAR(64)  NOT NULL,
    source         VARCHAR(180) NOT NULL,
    event_id       VARCHAR(255) NOT NULL COMMENT 'ce_id, or where the record lay',
    handled_at     DATETIME(6)  NOT NULL,
    PRIMARY KEY (consumer_group, dispatcher, source, event_id),
    KEY tidings_inbox_event_age (consumer_group, handled_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
