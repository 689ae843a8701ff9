-- Tables for Flink SQL: for each event one that reads its topic (…_kafka), and a view with the event's rows.
--
-- A topic has several events, and Flink's avro-confluent reads all of a table's records with one schema. The one given here has every
-- field optional: what records of other events lack is null, and the view takes the event's own by the header ce_type. A record of
-- another event whose field of the same name has a type that cannot be read as this one's fails the job: Flink has no setting that
-- passes over it. An earlier version of the event itself fails it in the same way. Such fields are named below where there are any.
--
-- Times are read as the payload's numbers, because avro-confluent takes microseconds for milliseconds; the view makes TIMESTAMP_LTZ(3)
-- of those at the top, which drops what is below a millisecond. Flink delivers records again from its last checkpoint: write to a sink
-- that is transactional, or by (kafka_topic, kafka_partition, kafka_offset).
-- Credentials are not here: 'properties.security.protocol', 'properties.sasl.mechanism' and 'properties.sasl.jaas.config' are for the
-- brokers, 'value.avro-confluent.basic-auth.credentials-source' and '….basic-auth.user-info' for the registry.

-- The event accounts.Everything.
-- payload_source is the payload's field source: another column has its name.
-- The payload's field either has a type that Flink SQL has no name for, and no column.
CREATE TABLE `accounts_Everything_kafka` (
    `user_id` BIGINT,
    `source` STRING,
    `flag` BOOLEAN,
    `small` INT,
    `ratio` DOUBLE,
    `raw` BYTES,
    `checksum` VARBINARY(4),
    `suit` STRING,
    `price` DECIMAL(9, 2),
    `session` STRING,
    `birthday` DATE,
    `seen_at` BIGINT,
    `left_at` BIGINT,
    `local_time` BIGINT,
    `tags` ARRAY<STRING>,
    `counts` MAP<STRING NOT NULL, BIGINT NOT NULL>,
    `home` ROW<`city` STRING NOT NULL, `zip` STRING>,
    `previous` ARRAY<ROW<`city` STRING NOT NULL, `zip` STRING> NOT NULL>,
    `order` INT,
    `tidings_headers` MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL,
    `tidings_topic` STRING METADATA FROM 'topic' VIRTUAL,
    `tidings_partition` INT METADATA FROM 'partition' VIRTUAL,
    `tidings_offset` BIGINT METADATA FROM 'offset' VIRTUAL,
    `tidings_timestamp` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
    'connector' = 'kafka',
    'topic' = 'accounts',
    'properties.bootstrap.servers' = 'broker-1:9092,broker-2:9092',
    'properties.group.id' = 'flink.accounts.Everything',
    'scan.startup.mode' = 'earliest-offset',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = 'http://registry.example:8081/',
    'value.avro-confluent.schema' = '{"doc":"A value of every type.","fields":[{"default":null,"name":"user_id","type":["null","long"]},{"default":null,"doc":"Has the name of a column of the pipeline''s.","name":"source","type":["null","string"]},{"default":null,"name":"flag","type":["null","boolean"]},{"default":null,"name":"small","type":["null","int"]},{"default":null,"name":"ratio","type":["null","double"]},{"default":null,"name":"raw","type":["null","bytes"]},{"default":null,"name":"checksum","type":["null",{"name":"Checksum","size":4,"type":"fixed"}]},{"default":null,"name":"suit","type":["null",{"default":"HEARTS","name":"Suit","symbols":["HEARTS","SPADES"],"type":"enum"}]},{"default":null,"name":"price","type":["null",{"logicalType":"decimal","precision":9,"scale":2,"type":"bytes"}]},{"default":null,"name":"session","type":["null",{"logicalType":"uuid","type":"string"}]},{"default":null,"name":"birthday","type":["null",{"logicalType":"date","type":"int"}]},{"default":null,"name":"seen_at","type":["null",{"type":"long"}]},{"default":null,"name":"left_at","type":["null",{"type":"long"}]},{"default":null,"name":"local_time","type":["null",{"type":"long"}]},{"default":null,"name":"tags","type":["null",{"items":["null","string"],"type":"array"}]},{"default":null,"name":"counts","type":["null",{"type":"map","values":"long"}]},{"default":null,"name":"home","type":["null",{"fields":[{"name":"city","type":"string"},{"default":null,"name":"zip","type":["null","string"]}],"name":"Address","type":"record"}]},{"default":null,"name":"previous","type":["null",{"items":"Address","type":"array"}]},{"default":null,"doc":"A word of SQL''s.","name":"order","type":["null","int"]}],"name":"Everything","namespace":"accounts","type":"record"}'
);

CREATE VIEW `accounts_Everything` AS
SELECT
    DECODE(`tidings_headers`['ce_id'], 'UTF-8') AS `event_id`,
    DECODE(`tidings_headers`['ce_type'], 'UTF-8') AS `event_type`,
    DECODE(`tidings_headers`['ce_schemaversion'], 'UTF-8') AS `schema_version`,
    REGEXP_REPLACE(DECODE(`tidings_headers`['ce_source'], 'UTF-8'), '^/', '') AS `source`,
    DECODE(`tidings_headers`['ce_subject'], 'UTF-8') AS `stream`,
    TRY_CAST(DECODE(`tidings_headers`['ce_sequence'], 'UTF-8') AS BIGINT) AS `sequence`,
    COALESCE(TRY_CAST(DECODE(`tidings_headers`['ce_streamepoch'], 'UTF-8') AS BIGINT), 0) AS `stream_epoch`,
    TRY_CAST(REPLACE(REPLACE(DECODE(`tidings_headers`['ce_time'], 'UTF-8'), 'T', ' '), 'Z', '') AS TIMESTAMP(6)) AS `occurred_at`,
    TRY_CAST(REPLACE(REPLACE(DECODE(`tidings_headers`['ce_recordedtime'], 'UTF-8'), 'T', ' '), 'Z', '') AS TIMESTAMP(6)) AS `recorded_at`,
    DECODE(`tidings_headers`['ce_partitionkey'], 'UTF-8') AS `partition_key`,
    DECODE(`tidings_headers`['ce_correlationid'], 'UTF-8') AS `correlation_id`,
    DECODE(`tidings_headers`['ce_causationid'], 'UTF-8') AS `causation_id`,
    `tidings_topic` AS `kafka_topic`,
    `tidings_partition` AS `kafka_partition`,
    `tidings_offset` AS `kafka_offset`,
    `tidings_timestamp` AS `kafka_timestamp`,
    `user_id` AS `user_id`,
    `source` AS `payload_source`,
    `flag` AS `flag`,
    `small` AS `small`,
    `ratio` AS `ratio`,
    `raw` AS `raw`,
    `checksum` AS `checksum`,
    `suit` AS `suit`,
    `price` AS `price`,
    `session` AS `session`,
    `birthday` AS `birthday`,
    TO_TIMESTAMP_LTZ(`seen_at` / 1000, 3) AS `seen_at`,
    TO_TIMESTAMP_LTZ(`left_at`, 3) AS `left_at`,
    `local_time` AS `local_time`,
    `tags` AS `tags`,
    `counts` AS `counts`,
    `home` AS `home`,
    `previous` AS `previous`,
    `order` AS `order`
FROM `accounts_Everything_kafka`
WHERE DECODE(`tidings_headers`['ce_type'], 'UTF-8') = 'accounts.Everything';

-- The event accounts.UserDeleted.
CREATE TABLE `accounts_UserDeleted_kafka` (
    `user_id` BIGINT,
    `reason` STRING,
    `tidings_headers` MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL,
    `tidings_topic` STRING METADATA FROM 'topic' VIRTUAL,
    `tidings_partition` INT METADATA FROM 'partition' VIRTUAL,
    `tidings_offset` BIGINT METADATA FROM 'offset' VIRTUAL,
    `tidings_timestamp` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
    'connector' = 'kafka',
    'topic' = 'accounts',
    'properties.bootstrap.servers' = 'broker-1:9092,broker-2:9092',
    'properties.group.id' = 'flink.accounts.UserDeleted',
    'scan.startup.mode' = 'earliest-offset',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = 'http://registry.example:8081/',
    'value.avro-confluent.schema' = '{"fields":[{"default":null,"name":"user_id","type":["null","long"]},{"default":null,"name":"reason","type":["null","string"]}],"name":"UserDeleted","namespace":"accounts","type":"record"}'
);

CREATE VIEW `accounts_UserDeleted` AS
SELECT
    DECODE(`tidings_headers`['ce_id'], 'UTF-8') AS `event_id`,
    DECODE(`tidings_headers`['ce_type'], 'UTF-8') AS `event_type`,
    DECODE(`tidings_headers`['ce_schemaversion'], 'UTF-8') AS `schema_version`,
    REGEXP_REPLACE(DECODE(`tidings_headers`['ce_source'], 'UTF-8'), '^/', '') AS `source`,
    DECODE(`tidings_headers`['ce_subject'], 'UTF-8') AS `stream`,
    TRY_CAST(DECODE(`tidings_headers`['ce_sequence'], 'UTF-8') AS BIGINT) AS `sequence`,
    COALESCE(TRY_CAST(DECODE(`tidings_headers`['ce_streamepoch'], 'UTF-8') AS BIGINT), 0) AS `stream_epoch`,
    TRY_CAST(REPLACE(REPLACE(DECODE(`tidings_headers`['ce_time'], 'UTF-8'), 'T', ' '), 'Z', '') AS TIMESTAMP(6)) AS `occurred_at`,
    TRY_CAST(REPLACE(REPLACE(DECODE(`tidings_headers`['ce_recordedtime'], 'UTF-8'), 'T', ' '), 'Z', '') AS TIMESTAMP(6)) AS `recorded_at`,
    DECODE(`tidings_headers`['ce_partitionkey'], 'UTF-8') AS `partition_key`,
    DECODE(`tidings_headers`['ce_correlationid'], 'UTF-8') AS `correlation_id`,
    DECODE(`tidings_headers`['ce_causationid'], 'UTF-8') AS `causation_id`,
    `tidings_topic` AS `kafka_topic`,
    `tidings_partition` AS `kafka_partition`,
    `tidings_offset` AS `kafka_offset`,
    `tidings_timestamp` AS `kafka_timestamp`,
    `user_id` AS `user_id`,
    `reason` AS `reason`
FROM `accounts_UserDeleted_kafka`
WHERE DECODE(`tidings_headers`['ce_type'], 'UTF-8') = 'accounts.UserDeleted';
