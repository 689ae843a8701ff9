
CREATE TABLE posted (
  event_id STRING, event_type STRING, schema_version STRING, `source` STRING, `stream` STRING, `sequence` BIGINT,
  stream_epoch BIGINT, occurred_at STRING, recorded_at STRING, partition_key STRING, correlation_id STRING, causation_id STRING,
  kafka_topic STRING, kafka_partition INT, kafka_offset BIGINT,
  player BIGINT, serial BIGINT, payload_source STRING, flag BOOLEAN, ratio DOUBLE, `raw` BYTES, digest BYTES, suit STRING,
  price STRING, `session` STRING, payload_day STRING, `at` STRING, wall_clock BIGINT, tags ARRAY<STRING>,
  counts MAP<STRING, BIGINT>, home ROW<city STRING, zip STRING>, previous ARRAY<ROW<city STRING, zip STRING>>, combo BIGINT
) WITH ('connector' = 'filesystem', 'path' = '@folder@/posted', 'format' = 'json');

CREATE TABLE erased (
  event_id STRING, event_type STRING, schema_version STRING, `source` STRING, `stream` STRING, `sequence` BIGINT,
  stream_epoch BIGINT, occurred_at STRING, recorded_at STRING, partition_key STRING, correlation_id STRING, causation_id STRING,
  kafka_topic STRING, kafka_partition INT, kafka_offset BIGINT,
  player BIGINT, reason STRING
) WITH ('connector' = 'filesystem', 'path' = '@folder@/erased', 'format' = 'json');

INSERT INTO posted
SELECT
  event_id, event_type, schema_version, `source`, `stream`, `sequence`,
  stream_epoch, CAST(occurred_at AS STRING), CAST(recorded_at AS STRING), partition_key, correlation_id, causation_id,
  kafka_topic, kafka_partition, kafka_offset,
  player, serial, payload_source, flag, ratio, `raw`, digest, suit,
  CAST(price AS STRING), `session`, CAST(payload_day AS STRING), CAST(`at` AS STRING), wall_clock, tags,
  counts, home, previous, combo
FROM `scores_ScorePosted`
WHERE kafka_timestamp IS NOT NULL;

INSERT INTO erased
SELECT
  event_id, event_type, schema_version, `source`, `stream`, `sequence`,
  stream_epoch, CAST(occurred_at AS STRING), CAST(recorded_at AS STRING), partition_key, correlation_id, causation_id,
  kafka_topic, kafka_partition, kafka_offset,
  player, reason
FROM `scores_ScoreErased`
WHERE kafka_timestamp IS NOT NULL;
