-- The events of the source in one table, whatever their types and versions. A record lacks most of these columns, so each of
-- them may be null and is null by default; what a record has besides them is passed over.
CREATE TABLE scores (
  headers MAP<STRING, BYTES> METADATA VIRTUAL,
  event_id AS DECODE(headers['ce_id'], 'UTF-8'),
  event_type AS DECODE(headers['ce_type'], 'UTF-8'),
  event_version AS DECODE(headers['ce_schemaversion'], 'UTF-8'),
  occurred_at AS DECODE(headers['ce_time'], 'UTF-8'),
  sequence AS CAST(DECODE(headers['ce_sequence'], 'UTF-8') AS BIGINT),
  event_key STRING,
  player BIGINT,
  serial BIGINT,
  game STRING,
  posted_at BIGINT,
  reason STRING,
  erased_by STRING
) WITH (
  'connector' = 'kafka',
  'properties.bootstrap.servers' = '@brokers@',
  'topic' = '@topic@',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'key.format' = 'raw',
  'key.fields' = 'event_key',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = '@registry@',
  -- Without it, Flink makes a schema of the columns, and reads no enum as text.
  'value.avro-confluent.schema' = '{"type": "record", "name": "Score", "namespace": "scores", "fields": [
    {"name": "player", "type": ["null", "long"], "default": null},
    {"name": "serial", "type": ["null", "long"], "default": null},
    {"name": "game", "type": ["null", "string"], "default": null},
    {"name": "posted_at", "type": ["null", "long"], "default": null},
    {"name": "reason", "type": ["null", "string"], "default": null},
    {"name": "erased_by", "default": null, "type": ["null", {
      "type": "enum", "name": "ErasedBy", "symbols": ["PLAYER", "MODERATOR"], "default": "PLAYER"}]}]}'
);

CREATE TABLE posted (
  event_id STRING, event_version STRING, occurred_at STRING, sequence BIGINT, event_key STRING,
  player BIGINT, serial BIGINT, game STRING, posted_at BIGINT
) WITH ('connector' = 'filesystem', 'path' = '@folder@/posted', 'format' = 'json');

CREATE TABLE erased (
  event_id STRING, event_version STRING, occurred_at STRING, sequence BIGINT, event_key STRING,
  player BIGINT, reason STRING, erased_by STRING
) WITH ('connector' = 'filesystem', 'path' = '@folder@/erased', 'format' = 'json');

INSERT INTO posted
SELECT event_id, event_version, occurred_at, sequence, event_key, player, serial, game, posted_at
FROM scores WHERE event_type = 'scores.ScorePosted';

INSERT INTO erased
SELECT event_id, event_version, occurred_at, sequence, event_key, player, reason, erased_by
FROM scores WHERE event_type = 'scores.ScoreErased';
