"""Reads events with confluent-kafka and its AvroDeserializer: read_events.py BROKERS REGISTRY TOPIC COUNT

Takes a line of JSON from standard input for each event that is to be read by a schema of one's own, as a reader does whose own
version is another: {"type": ..., "schema": ...}. Prints a line of JSON for each event.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

brokers, registry, topic, count = sys.argv[1:]
client = SchemaRegistryClient({"url": registry})
as_written = AvroDeserializer(client)
own = {line["type"]: AvroDeserializer(client, line["schema"]) for line in map(json.loads, sys.stdin)}
context = SerializationContext(topic, MessageField.VALUE)
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": f"python-of-{topic}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
consumer.subscribe([topic])
for _ in range(int(count)):
    message = consumer.poll(30)
    if message is None:
        sys.exit("no more events come")
    if message.error():
        sys.exit(str(message.error()))
    headers = {name: value.decode() for name, value in message.headers()}
    event = {
        "key": message.key().decode(),
        "headers": headers,
        "value": own.get(headers["ce_type"], as_written)(message.value(), context),
    }
    # Moments are shown as they are written: microseconds.
    print(json.dumps(event, default=lambda moment: (moment - EPOCH) // timedelta(microseconds=1)), flush=True)
consumer.close()
