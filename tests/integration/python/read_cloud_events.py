"""Reads events with the CloudEvents SDK, and its data with confluent-kafka's deserializer:
read_cloud_events.py BROKERS REGISTRY TOPIC COUNT

Prints a line of JSON for each event: its attributes, its data, the headers that the SDK writes of it again, and what the SDK's
interface of version 1 makes of the same record.
"""

import json
import sys
from datetime import datetime

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.v1 import kafka as version_1
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from records import microseconds, records


class AvroFormat(JSONFormat):
    """Data in Avro. The SDK has a format for JSON, which takes any other bytes that happen to be UTF-8 for text."""

    def __init__(self, registry, topic):
        self.deserializer = AvroDeserializer(SchemaRegistryClient({"url": registry}))
        self.context = SerializationContext(topic, MessageField.VALUE)

    def deserialize(self, body):
        return self.deserializer(body, self.context)

    def read_data(self, body, datacontenttype):
        if datacontenttype != "application/avro":
            return super().read_data(body, datacontenttype)
        return self.deserialize(body)


def main():
    brokers, registry, topic, count = sys.argv[1:]
    avro = AvroFormat(registry, topic)
    for message in records(brokers, topic, count, "cloud-events"):
        # Debezium writes headers without a value, and the SDK wants them to have one.
        headers = {name: value for name, value in message.headers() if value is not None}
        event = from_binary(KafkaMessage(headers, message.key(), message.value()), avro)
        written = to_binary(event, avro)
        if written.key.encode() != message.key():
            sys.exit(f"the key was {message.key()}, and is {written.key} when the event is written again")
        earlier = version_1.from_binary(
            version_1.KafkaMessage(headers, message.key().decode(), message.value()), data_unmarshaller=avro.deserialize
        )
        line = {
            "attributes": {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in event.get_attributes().items()
            },
            "data": event.get_data(),
            "earlier": {"attributes": dict(earlier.get_attributes()), "data": earlier.get_data()},
            "written": {name: value.decode() for name, value in written.headers.items()},
        }
        print(json.dumps(line, default=microseconds), flush=True)


if __name__ == "__main__":
    main()
