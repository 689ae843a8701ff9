"""Reads events with confluent-kafka and its AvroDeserializer: read_events.py BROKERS REGISTRY TOPIC COUNT

Prints a line of JSON for each event.
"""

import json
import sys

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic, count = sys.argv[1:]
deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
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
    event = {
        "key": message.key().decode(),
        "partition": message.partition(),
        "headers": [[name, value.decode()] for name, value in message.headers()],
        "value": deserialize(message.value(), context),
    }
    print(json.dumps(event), flush=True)
consumer.close()
