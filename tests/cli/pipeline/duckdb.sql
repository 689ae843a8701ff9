-- Views over the files that the Parquet sink of tidings writes: one for each event, with one row for each event of it.
-- Filter by day where you can: then only the files of those days are read.
-- A view can be made once its event has a first file, since DuckDB refuses a pattern without files.
-- A column that older files do not have is null there. A number that has become wider is wide in all rows.

-- The event accounts.Everything.
-- payload_source is the payload's field source: another column has its name.
CREATE OR REPLACE VIEW "accounts_Everything" AS
SELECT
    "event_id",
    "event_type",
    "schema_version",
    "source",
    "stream",
    "sequence",
    "stream_epoch",
    "occurred_at",
    "recorded_at",
    "partition_key",
    "correlation_id",
    "causation_id",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_timestamp",
    "user_id",
    "payload_source",
    "flag",
    "small",
    "ratio",
    "raw",
    "checksum",
    "suit",
    "price",
    "session",
    "birthday",
    "seen_at",
    "left_at",
    "local_time",
    "tags",
    "counts",
    "home",
    "previous",
    "either",
    "order",
    "day"
FROM (
  SELECT
    CAST(NULL AS VARCHAR) AS "event_id",
    CAST(NULL AS VARCHAR) AS "event_type",
    CAST(NULL AS VARCHAR) AS "schema_version",
    CAST(NULL AS VARCHAR) AS "source",
    CAST(NULL AS VARCHAR) AS "stream",
    CAST(NULL AS BIGINT) AS "sequence",
    CAST(NULL AS BIGINT) AS "stream_epoch",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "occurred_at",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "recorded_at",
    CAST(NULL AS VARCHAR) AS "partition_key",
    CAST(NULL AS VARCHAR) AS "correlation_id",
    CAST(NULL AS VARCHAR) AS "causation_id",
    CAST(NULL AS VARCHAR) AS "kafka_topic",
    CAST(NULL AS INTEGER) AS "kafka_partition",
    CAST(NULL AS BIGINT) AS "kafka_offset",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "kafka_timestamp",
    CAST(NULL AS BIGINT) AS "user_id",
    CAST(NULL AS VARCHAR) AS "payload_source",
    CAST(NULL AS BOOLEAN) AS "flag",
    CAST(NULL AS INTEGER) AS "small",
    CAST(NULL AS DOUBLE) AS "ratio",
    CAST(NULL AS BLOB) AS "raw",
    CAST(NULL AS BLOB) AS "checksum",
    CAST(NULL AS VARCHAR) AS "suit",
    CAST(NULL AS DECIMAL(9, 2)) AS "price",
    CAST(NULL AS VARCHAR) AS "session",
    CAST(NULL AS DATE) AS "birthday",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "seen_at",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "left_at",
    CAST(NULL AS TIMESTAMP) AS "local_time",
    CAST(NULL AS VARCHAR[]) AS "tags",
    CAST(NULL AS MAP(VARCHAR, BIGINT)) AS "counts",
    CAST(NULL AS STRUCT("city" VARCHAR, "zip" VARCHAR)) AS "home",
    CAST(NULL AS STRUCT("city" VARCHAR, "zip" VARCHAR)[]) AS "previous",
    CAST(NULL AS STRUCT("long" BIGINT, "string" VARCHAR)) AS "either",
    CAST(NULL AS INTEGER) AS "order",
    CAST(NULL AS DATE) AS "day"
  WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet(
    '/data/o''clock/event=accounts.Everything/day=*/*.parquet',
    hive_partitioning = true,
    hive_types = {'day': DATE, 'event': VARCHAR},
    union_by_name = true
  )
);

-- The event accounts.UserDeleted.
CREATE OR REPLACE VIEW "accounts_UserDeleted" AS
SELECT
    "event_id",
    "event_type",
    "schema_version",
    "source",
    "stream",
    "sequence",
    "stream_epoch",
    "occurred_at",
    "recorded_at",
    "partition_key",
    "correlation_id",
    "causation_id",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_timestamp",
    "user_id",
    "reason",
    "day"
FROM (
  SELECT
    CAST(NULL AS VARCHAR) AS "event_id",
    CAST(NULL AS VARCHAR) AS "event_type",
    CAST(NULL AS VARCHAR) AS "schema_version",
    CAST(NULL AS VARCHAR) AS "source",
    CAST(NULL AS VARCHAR) AS "stream",
    CAST(NULL AS BIGINT) AS "sequence",
    CAST(NULL AS BIGINT) AS "stream_epoch",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "occurred_at",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "recorded_at",
    CAST(NULL AS VARCHAR) AS "partition_key",
    CAST(NULL AS VARCHAR) AS "correlation_id",
    CAST(NULL AS VARCHAR) AS "causation_id",
    CAST(NULL AS VARCHAR) AS "kafka_topic",
    CAST(NULL AS INTEGER) AS "kafka_partition",
    CAST(NULL AS BIGINT) AS "kafka_offset",
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS "kafka_timestamp",
    CAST(NULL AS BIGINT) AS "user_id",
    CAST(NULL AS VARCHAR) AS "reason",
    CAST(NULL AS DATE) AS "day"
  WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet(
    '/data/o''clock/event=accounts.UserDeleted/day=*/*.parquet',
    hive_partitioning = true,
    hive_types = {'day': DATE, 'event': VARCHAR},
    union_by_name = true
  )
);
