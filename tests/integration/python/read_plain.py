"""Reads events with nothing but a consumer and fastavro: read_plain.py BROKERS REGISTRY TOPIC COUNT

The payload is a zero byte, the id of its schema as four bytes, and the Avro datum; the registry has the schema. Takes a line of
JSON from standard input for each event that is to be read by a schema of one's own, as a reader does whose own version is
another: {"type": ..., "schema": ...}. Prints a line of JSON for each event.
"""

import io
import json
import struct
import sys
import urllib.request
from functools import cache

from fastavro import parse_schema, schemaless_reader

from records import microseconds, records


def main():
    brokers, registry, topic, count = sys.argv[1:]
    own = {line["type"]: parse_schema(json.loads(line["schema"])) for line in map(json.loads, sys.stdin)}

    @cache
    def schema(number):
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as response:
            return parse_schema(json.loads(json.load(response)["schema"]))

    for message in records(brokers, topic, count, "plain"):
        headers = {name: value.decode() for name, value in message.headers()}
        magic, number = struct.unpack(">bI", message.value()[:5])
        if magic != 0:
            sys.exit(f"the payload begins with {magic}")
        datum = io.BytesIO(message.value()[5:])
        value = schemaless_reader(datum, schema(number), own.get(headers["ce_type"]))
        if datum.read(1):
            sys.exit("bytes are left over")
        event = {"key": message.key().decode(), "headers": headers, "value": value}
        print(json.dumps(event, default=microseconds), flush=True)


if __name__ == "__main__":
    main()
