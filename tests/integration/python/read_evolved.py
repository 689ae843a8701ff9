"""Reads records as their other side's schema sees them, with fastavro: read_evolved.py BROKERS REGISTRY TOPIC COUNT MATRIX

Each record's key is the position of its row in MATRIX and of its case in that row, as "3/1". The writer's schema comes from the
registry, the reader's is the row's other one. Prints a line of JSON for each record: {"key": ..., "read": ...} or
{"key": ..., "refused": reason}.
"""

import io
import json
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from fastavro import parse_schema, schemaless_reader
from fastavro.read import LOGICAL_READERS

from records import records

# Logical types are left as the numbers and texts they are, which is what is compared.
LOGICAL_READERS.clear()


def record(side):
    """A row's schema: a list of fields stands for a record of the same name everywhere."""
    if isinstance(side, list):
        return {"type": "record", "name": "Changed", "namespace": "evolution", "fields": side}
    return side


def plain(value):
    """As JSON: bytes have one character each."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def read(datum, writer, reader):
    try:
        stream = io.BytesIO(datum)
        value = schemaless_reader(stream, parse_schema(writer), parse_schema(reader))
        if stream.read(1):
            raise ValueError("bytes are left over")
        return {"read": plain(value)}
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def main():
    brokers, registry, topic, count, matrix = sys.argv[1:]
    with open(matrix) as file:
        rows = json.load(file)
    schemas = SchemaRegistryClient({"url": registry})
    for message in records(brokers, topic, count, "python"):
        key = message.key().decode()
        row, case = map(int, key.split("/"))
        reader = "new" if rows[row]["cases"][case]["written"] == "old" else "old"
        payload = message.value()
        writer = json.loads(schemas.get_schema(int.from_bytes(payload[1:5], "big")).schema_str)
        answer = read(payload[5:], writer, record(rows[row][reader]))
        print(json.dumps({"key": key, **answer}), flush=True)


if __name__ == "__main__":
    main()
