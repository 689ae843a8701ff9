"""Reads the Parquet sink's files through views, with DuckDB: read_warehouse.py DDL VIEW...

Prints a line of JSON for each view: {"rows": [...], "days": [[day, rows, different records], ...]}. Instants are microseconds
since 1970, bytes are hexadecimal.
"""

import json
import sys

import duckdb


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
with open(sys.argv[1], encoding="utf-8") as ddl:
    database.execute(ddl.read())
for view in sys.argv[2:]:
    columns = database.execute(f'DESCRIBE "{view}"').fetchall()
    instant = "TIMESTAMP WITH TIME ZONE"
    chosen = [f'epoch_us("{name}")' if kind == instant else f'"{name}"' for name, kind, *_ in columns]
    found = database.execute(f'SELECT {", ".join(chosen)} FROM "{view}"').fetchall()
    rows = [{name: plain(value) for (name, *_), value in zip(columns, row)} for row in found]
    days = database.execute(
        f'SELECT CAST(day AS VARCHAR), count(*), count(DISTINCT (kafka_topic, kafka_partition, kafka_offset)) FROM "{view}" '
        "GROUP BY day ORDER BY day"
    ).fetchall()
    print(json.dumps({"rows": rows, "days": days}))
