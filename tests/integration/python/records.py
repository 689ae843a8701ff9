"""What the readers of this folder share."""

import sys
from datetime import datetime, timedelta, timezone

from confluent_kafka import Consumer

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def records(brokers, topic, count, group):
    """The topic's first `count` records; the program ends with a reason where they do not come."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"{group}-of-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    for _ in range(int(count)):
        message = consumer.poll(30)
        if message is None:
            sys.exit("no more records come")
        if message.error():
            sys.exit(str(message.error()))
        yield message
    consumer.close()


def microseconds(moment):
    """Moments are shown as they are written."""
    return (moment - EPOCH) // timedelta(microseconds=1)
