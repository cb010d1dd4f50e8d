"""Sends requests with confluent-kafka's own Avro serializer until SIGTERM, and writes down what it sent and what was acknowledged."""

import json
import os
import random
import signal
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

RATE = float(os.environ["RATE"])
TOPIC = os.environ["KAFKA_PREFIX"] + "requests"
DELIVERED_WITHIN = 240
draw = random.Random(int(os.environ["SEED"]))
history = open(os.environ["HISTORY"], "a", buffering=1)
ended = False


def end(*_):
    global ended
    ended = True


def note(event, **members):
    history.write(json.dumps({"at": time.time_ns() // 1000, "pid": os.getpid(), "event": event, **members}) + "\n")


def request(number):
    """Id, key, record. The names in the question are those that the scripted model knows."""
    late = draw.random() < 0.01
    request_id = f"python-{number}" + ("-slow" if late else "")
    shaky, tail = ("shaky" if draw.random() < 0.3 else "sure"), ("tail" if late else "")
    record = {
        "request_id": request_id,
        "kind": "run",
        "tenant": "default",
        "chain": "nobody-has-it" if draw.random() < 0.01 else "one",
        "input": json.dumps({"question": f"{request_id} {shaky} {tail}"}),
        "params": "{}",
        "deadline": None,
        "conversation": None,
        "turn": 0,
        "metadata": {"number": str(number)},
        "created_at": time.time_ns() // 1000,
    }
    return request_id, (f"key-{draw.randrange(100)}" if draw.random() < 0.6 else None), record


def main():
    signal.signal(signal.SIGTERM, end)
    registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})
    schema = registry.get_latest_version(f"{TOPIC}-value").schema.schema_str
    serialize = AvroSerializer(registry, schema, conf={"auto.register.schemas": False})
    context = SerializationContext(TOPIC, MessageField.VALUE)
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "client.id": "driver-python",
            "enable.idempotence": True,
            "message.timeout.ms": DELIVERED_WITHIN * 1000,
            "request.timeout.ms": 5000,
            "socket.timeout.ms": 10000,
            "reconnect.backoff.max.ms": 1000,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "topic.metadata.refresh.interval.ms": 3000,
        }
    )

    def acknowledged(request_id):
        def delivery(error, message):
            if error is None:
                # None: sent again after its acknowledgement was lost, and the broker does not say where it is
                offset = -1 if message.offset() is None else message.offset()
                note("acknowledged", request_id=request_id, topic=TOPIC, partition=message.partition(), offset=offset)
            else:
                print(f"{request_id} is not acknowledged: {error}", file=sys.stderr)

        return delivery

    began, sent = time.monotonic(), 0
    while not ended:
        while sent < (time.monotonic() - began) * RATE and not ended:
            sent += 1
            request_id, key, record = request(sent)
            value = serialize(record, context)
            note("produced", request_id=request_id, topic=TOPIC, key=key)
            producer.produce(TOPIC, value, key=key, on_delivery=acknowledged(request_id))
        producer.poll(0.02)
    sys.exit(1 if producer.flush(DELIVERED_WITHIN) else 0)


main()
