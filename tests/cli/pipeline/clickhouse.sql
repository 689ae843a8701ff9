-- Tables for ClickHouse: for each event one that reads its topic (…_kafka), one that keeps its rows, and a view that moves them.
--
-- A topic has several events. Each …_kafka table reads the whole topic, in a consumer group of its own, and decodes every record with
-- the schema it was written with; its view takes the event's own by the header ce_type. What others' records lack is a default, and
-- what cannot be read as the table's columns has its reason in _error instead of stopping the table: errors of the event itself go to
-- …_errors. Look there.
--
-- ClickHouse may read a record again, after a crash or a rebalance. The tables replace rows of the same topic, partition and offset when
-- parts are merged: read them with FINAL where each row must count once.
--
-- Not as in the payload: an absent array, map or record is an empty one, because ClickHouse has no Nullable of those. Times within
-- records and arrays, and times without a date, are the numbers of the payload.
-- Credentials are not here: kafka_security_protocol, kafka_sasl_mechanism, kafka_sasl_username and kafka_sasl_password are settings
-- of the …_kafka tables, and a registry's user and password go into its address.

-- The event accounts.Everything.
-- payload_source is the payload's field source: another column has its name.
CREATE TABLE IF NOT EXISTS `accounts_Everything_kafka` (
    `user_id` Int64,
    `source` String,
    `flag` Bool,
    `small` Int32,
    `ratio` Float64,
    `raw` String,
    `checksum` FixedString(4),
    `suit` String,
    `price` Decimal(9, 2),
    `session` UUID,
    `birthday` Nullable(Date32),
    `seen_at` Int64,
    `left_at` Nullable(Int64),
    `local_time` Int64,
    `tags` Array(Nullable(String)),
    `counts` Map(String, Int64),
    `home` Tuple(`city` String, `zip` Nullable(String)),
    `previous` Array(Tuple(`city` String, `zip` Nullable(String))),
    `either` Variant(Int64, String),
    `order` Int32
) ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'broker-1:9092,broker-2:9092',
    kafka_topic_list = 'accounts',
    kafka_group_name = 'clickhouse.accounts.Everything',
    kafka_format = 'AvroConfluent',
    format_avro_schema_registry_url = 'http://registry.example:8081/',
    input_format_avro_allow_missing_fields = 1,
    input_format_avro_null_as_default = 1,
    kafka_handle_error_mode = 'stream';

CREATE TABLE IF NOT EXISTS `accounts_Everything` (
    `event_id` Nullable(String),
    `event_type` String,
    `schema_version` Nullable(String),
    `source` Nullable(String),
    `stream` Nullable(String),
    `sequence` Nullable(Int64),
    `stream_epoch` Int64,
    `occurred_at` Nullable(DateTime64(6, 'UTC')),
    `recorded_at` Nullable(DateTime64(6, 'UTC')),
    `partition_key` Nullable(String),
    `correlation_id` Nullable(String),
    `causation_id` Nullable(String),
    `kafka_topic` String,
    `kafka_partition` Int32,
    `kafka_offset` Int64,
    `kafka_timestamp` Nullable(DateTime64(6, 'UTC')),
    `user_id` Int64,
    `payload_source` String,
    `flag` Bool,
    `small` Int32,
    `ratio` Float64,
    `raw` String,
    `checksum` FixedString(4),
    `suit` LowCardinality(String),
    `price` Decimal(9, 2),
    `session` UUID,
    `birthday` Nullable(Date32),
    `seen_at` DateTime64(6, 'UTC'),
    `left_at` Nullable(DateTime64(3, 'UTC')),
    `local_time` DateTime64(6, 'UTC'),
    `tags` Array(Nullable(String)),
    `counts` Map(String, Int64),
    `home` Tuple(`city` String, `zip` Nullable(String)),
    `previous` Array(Tuple(`city` String, `zip` Nullable(String))),
    `either` Variant(Int64, String),
    `order` Int32
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(coalesce(`occurred_at`, `kafka_timestamp`, toDateTime64(0, 6, 'UTC')))
ORDER BY (`kafka_topic`, `kafka_partition`, `kafka_offset`);

CREATE MATERIALIZED VIEW IF NOT EXISTS `accounts_Everything_rows` TO `accounts_Everything` AS
SELECT
    nullIf(_headers.value[indexOf(_headers.name, 'ce_id')], '') AS `event_id`,
    _headers.value[indexOf(_headers.name, 'ce_type')] AS `event_type`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_schemaversion')], '') AS `schema_version`,
    nullIf(replaceRegexpOne(_headers.value[indexOf(_headers.name, 'ce_source')], '^/', ''), '') AS `source`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_subject')], '') AS `stream`,
    toInt64OrNull(_headers.value[indexOf(_headers.name, 'ce_sequence')]) AS `sequence`,
    toInt64OrZero(_headers.value[indexOf(_headers.name, 'ce_streamepoch')]) AS `stream_epoch`,
    parseDateTime64BestEffortOrNull(_headers.value[indexOf(_headers.name, 'ce_time')], 6, 'UTC') AS `occurred_at`,
    parseDateTime64BestEffortOrNull(_headers.value[indexOf(_headers.name, 'ce_recordedtime')], 6, 'UTC') AS `recorded_at`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_partitionkey')], '') AS `partition_key`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_correlationid')], '') AS `correlation_id`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_causationid')], '') AS `causation_id`,
    _topic AS `kafka_topic`,
    toInt32(_partition) AS `kafka_partition`,
    toInt64(_offset) AS `kafka_offset`,
    toDateTime64(_timestamp_ms, 6, 'UTC') AS `kafka_timestamp`,
    `of_topic`.`user_id` AS `user_id`,
    `of_topic`.`source` AS `payload_source`,
    `of_topic`.`flag` AS `flag`,
    `of_topic`.`small` AS `small`,
    `of_topic`.`ratio` AS `ratio`,
    `of_topic`.`raw` AS `raw`,
    `of_topic`.`checksum` AS `checksum`,
    `of_topic`.`suit` AS `suit`,
    `of_topic`.`price` AS `price`,
    `of_topic`.`session` AS `session`,
    `of_topic`.`birthday` AS `birthday`,
    fromUnixTimestamp64Micro(`of_topic`.`seen_at`, 'UTC') AS `seen_at`,
    fromUnixTimestamp64Milli(`of_topic`.`left_at`, 'UTC') AS `left_at`,
    fromUnixTimestamp64Micro(`of_topic`.`local_time`, 'UTC') AS `local_time`,
    `of_topic`.`tags` AS `tags`,
    `of_topic`.`counts` AS `counts`,
    `of_topic`.`home` AS `home`,
    `of_topic`.`previous` AS `previous`,
    `of_topic`.`either` AS `either`,
    `of_topic`.`order` AS `order`
FROM `accounts_Everything_kafka` AS `of_topic`
WHERE _headers.value[indexOf(_headers.name, 'ce_type')] = 'accounts.Everything' AND empty(_error);

CREATE TABLE IF NOT EXISTS `accounts_Everything_errors` (
    `kafka_topic` String,
    `kafka_partition` Int32,
    `kafka_offset` Int64,
    `error` String,
    `record` String
) ENGINE = ReplacingMergeTree
ORDER BY (`kafka_topic`, `kafka_partition`, `kafka_offset`);

CREATE MATERIALIZED VIEW IF NOT EXISTS `accounts_Everything_errors_rows` TO `accounts_Everything_errors` AS
SELECT
    _topic AS `kafka_topic`,
    toInt32(_partition) AS `kafka_partition`,
    toInt64(_offset) AS `kafka_offset`,
    _error AS `error`,
    _raw_message AS `record`
FROM `accounts_Everything_kafka`
WHERE _headers.value[indexOf(_headers.name, 'ce_type')] = 'accounts.Everything' AND notEmpty(_error);

-- The event accounts.UserDeleted.
CREATE TABLE IF NOT EXISTS `accounts_UserDeleted_kafka` (
    `user_id` Int64,
    `reason` Nullable(String)
) ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'broker-1:9092,broker-2:9092',
    kafka_topic_list = 'accounts',
    kafka_group_name = 'clickhouse.accounts.UserDeleted',
    kafka_format = 'AvroConfluent',
    format_avro_schema_registry_url = 'http://registry.example:8081/',
    input_format_avro_allow_missing_fields = 1,
    input_format_avro_null_as_default = 1,
    kafka_handle_error_mode = 'stream';

CREATE TABLE IF NOT EXISTS `accounts_UserDeleted` (
    `event_id` Nullable(String),
    `event_type` String,
    `schema_version` Nullable(String),
    `source` Nullable(String),
    `stream` Nullable(String),
    `sequence` Nullable(Int64),
    `stream_epoch` Int64,
    `occurred_at` Nullable(DateTime64(6, 'UTC')),
    `recorded_at` Nullable(DateTime64(6, 'UTC')),
    `partition_key` Nullable(String),
    `correlation_id` Nullable(String),
    `causation_id` Nullable(String),
    `kafka_topic` String,
    `kafka_partition` Int32,
    `kafka_offset` Int64,
    `kafka_timestamp` Nullable(DateTime64(6, 'UTC')),
    `user_id` Int64,
    `reason` Nullable(String)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(coalesce(`occurred_at`, `kafka_timestamp`, toDateTime64(0, 6, 'UTC')))
ORDER BY (`kafka_topic`, `kafka_partition`, `kafka_offset`);

CREATE MATERIALIZED VIEW IF NOT EXISTS `accounts_UserDeleted_rows` TO `accounts_UserDeleted` AS
SELECT
    nullIf(_headers.value[indexOf(_headers.name, 'ce_id')], '') AS `event_id`,
    _headers.value[indexOf(_headers.name, 'ce_type')] AS `event_type`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_schemaversion')], '') AS `schema_version`,
    nullIf(replaceRegexpOne(_headers.value[indexOf(_headers.name, 'ce_source')], '^/', ''), '') AS `source`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_subject')], '') AS `stream`,
    toInt64OrNull(_headers.value[indexOf(_headers.name, 'ce_sequence')]) AS `sequence`,
    toInt64OrZero(_headers.value[indexOf(_headers.name, 'ce_streamepoch')]) AS `stream_epoch`,
    parseDateTime64BestEffortOrNull(_headers.value[indexOf(_headers.name, 'ce_time')], 6, 'UTC') AS `occurred_at`,
    parseDateTime64BestEffortOrNull(_headers.value[indexOf(_headers.name, 'ce_recordedtime')], 6, 'UTC') AS `recorded_at`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_partitionkey')], '') AS `partition_key`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_correlationid')], '') AS `correlation_id`,
    nullIf(_headers.value[indexOf(_headers.name, 'ce_causationid')], '') AS `causation_id`,
    _topic AS `kafka_topic`,
    toInt32(_partition) AS `kafka_partition`,
    toInt64(_offset) AS `kafka_offset`,
    toDateTime64(_timestamp_ms, 6, 'UTC') AS `kafka_timestamp`,
    `of_topic`.`user_id` AS `user_id`,
    `of_topic`.`reason` AS `reason`
FROM `accounts_UserDeleted_kafka` AS `of_topic`
WHERE _headers.value[indexOf(_headers.name, 'ce_type')] = 'accounts.UserDeleted' AND empty(_error);

CREATE TABLE IF NOT EXISTS `accounts_UserDeleted_errors` (
    `kafka_topic` String,
    `kafka_partition` Int32,
    `kafka_offset` Int64,
    `error` String,
    `record` String
) ENGINE = ReplacingMergeTree
ORDER BY (`kafka_topic`, `kafka_partition`, `kafka_offset`);

CREATE MATERIALIZED VIEW IF NOT EXISTS `accounts_UserDeleted_errors_rows` TO `accounts_UserDeleted_errors` AS
SELECT
    _topic AS `kafka_topic`,
    toInt32(_partition) AS `kafka_partition`,
    toInt64(_offset) AS `kafka_offset`,
    _error AS `error`,
    _raw_message AS `record`
FROM `accounts_UserDeleted_kafka`
WHERE _headers.value[indexOf(_headers.name, 'ce_type')] = 'accounts.UserDeleted' AND notEmpty(_error);
