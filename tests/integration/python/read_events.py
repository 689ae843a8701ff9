"""Reads events with confluent-kafka and its AvroDeserializer: read_events.py BROKERS REGISTRY TOPIC COUNT

Takes a line of JSON from standard input for each event that is to be read by a schema of one's own, as a reader does whose own
version is another: {"type": ..., "schema": ...}. Prints a line of JSON for each event.
"""

import json
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from records import microseconds, records

brokers, registry, topic, count = sys.argv[1:]
client = SchemaRegistryClient({"url": registry})
as_written = AvroDeserializer(client)
own = {line["type"]: AvroDeserializer(client, line["schema"]) for line in map(json.loads, sys.stdin)}
context = SerializationContext(topic, MessageField.VALUE)
for message in records(brokers, topic, count, "python"):
    headers = {name: value.decode() for name, value in message.headers()}
    event = {
        "key": message.key().decode(),
        "headers": headers,
        "value": own.get(headers["ce_type"], as_written)(message.value(), context),
    }
    print(json.dumps(event, default=microseconds), flush=True)
