"""Writes events with confluent-kafka and its AvroSerializer: write_events.py BROKERS REGISTRY TOPIC SCHEMA

Takes a line of JSON for each event from standard input: {"key": ..., "headers": [[name, value], ...], "value": {...}};
prints where each went: {"partition": ..., "offset": ...}.
"""

import json
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic, schema = sys.argv[1:]
serialize = AvroSerializer(
    SchemaRegistryClient({"url": registry}),
    schema,
    conf={"subject.name.strategy": topic_record_subject_name_strategy},
)
context = SerializationContext(topic, MessageField.VALUE)
# What Java's clients do with keys.
producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})
places = []


def delivered(error, message):
    if error is not None:
        sys.exit(str(error))
    places.append({"partition": message.partition(), "offset": message.offset()})


for line in sys.stdin:
    event = json.loads(line)
    producer.produce(
        topic,
        key=event["key"],
        value=serialize(event["value"], context),
        headers=[(name, value) for name, value in event["headers"]],
        on_delivery=delivered,
    )
    # One after the other, so that the places come in the order of the lines.
    if producer.flush(30) > 0:
        sys.exit("an event was not acknowledged")
for place in places:
    print(json.dumps(place))
