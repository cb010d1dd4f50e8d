"""A client that knows Kafka, Avro and a schema registry, and nothing of Millrace but its topics.

It produces 500 Requests (keyed and with null keys) and 100 plain JSON records, reads Results and Audit as committed, and prints
what it saw as one JSON object. Exit 0: every id has exactly one result and the results of each key are in the order of its requests.
"""

import json
import os
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
PREFIX = os.environ["KAFKA_PREFIX"]
PLAIN_TOPIC = os.environ["PLAIN_TOPIC"]
DEADLINE = time.monotonic() + float(os.environ.get("DEADLINE_SECONDS", "120"))
REQUESTS, KEYED, KEYS, PLAIN = 500, 300, 10, 100

registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})


def from_the_end(topics):
    """A consumer that was nowhere before: assigned to the end of every partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": f"stranger-{uuid.uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    positions = []
    for topic in topics:
        for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
            positions.append(TopicPartition(topic, partition, end))
    consumer.assign(positions)
    return consumer


def produce():
    """Returns the request ids in the order of each key, and the positions of the plain records."""
    topic = PREFIX + "requests"
    schema = registry.get_latest_version(f"{topic}-value").schema.schema_str
    serialize = AvroSerializer(registry, schema, conf={"auto.register.schemas": False, "use.latest.version": True})
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "partitioner": "murmur2_random", "linger.ms": 5})
    of_key, plain, failures = {}, [], []

    def acknowledged(error, message):
        if error is not None:
            failures.append(str(error))
        elif message.topic() == PLAIN_TOPIC:
            plain.append(f"{message.topic()}/{message.partition()}/{message.offset()}")

    for number in range(REQUESTS):
        key = f"key-{number % KEYS}" if number < KEYED else None
        request_id = f"stranger-{uuid.uuid4()}"
        record = {
            "request_id": request_id,
            "kind": "run",
            "tenant": "default",
            "chain": "echo",
            "input": json.dumps({"text": f"request {number}"}),
            "params": "{}",
            "deadline": None,
            "conversation": None,
            "turn": 0,
            "metadata": {"number": str(number)},
            "created_at": int(time.time() * 1e6),
        }
        producer.produce(topic, serialize(record, context), key=key, on_delivery=acknowledged)
        of_key.setdefault(key, []).append(request_id)
        producer.poll(0)
    for number in range(PLAIN):
        producer.produce(PLAIN_TOPIC, json.dumps({"text": f"plain {number}"}), on_delivery=acknowledged)
    producer.flush(30)
    if failures:
        sys.exit(f"{len(failures)} records were not acknowledged: {failures[0]}")
    return of_key, plain


def main():
    results_topic, audit_topic = PREFIX + "results", PREFIX + "audit"
    consumer = from_the_end([results_topic, audit_topic])
    of_key, plain = produce()
    awaited = {request_id for ids in of_key.values() for request_id in ids}

    deserialize = AvroDeserializer(registry)
    results, audited, seen = {}, {}, []
    while len(results) < REQUESTS + PLAIN or len(audited) < REQUESTS + PLAIN:
        if time.monotonic() > DEADLINE:
            sys.exit(f"after the deadline: {len(results)} results and {len(audited)} audited runs")
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            sys.exit(f"cannot read: {message.error()}")
        record = deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        headers = {name: value.decode() for name, value in message.headers()}
        if message.topic() == audit_topic:
            if record["kind"] == "run":
                audited[record["request_id"]] = audited.get(record["request_id"], 0) + 1
            continue
        if headers["request-id"] != record["request_id"] or headers["src"] != record["src"]:
            sys.exit(f"the headers disagree with the record: {headers}")
        if record["status"] != "completed":
            sys.exit(f"a run did not complete: {record['error']}")
        results[record["request_id"]] = results.get(record["request_id"], 0) + 1
        seen.append(record["request_id"])
        if record["src"].rsplit("/", 2)[0] == PLAIN_TOPIC and record["src"] not in plain:
            sys.exit(f"a result of a record that was never sent: {record['src']}")

    in_order = all(
        [request_id for request_id in seen if request_id in set(ids)] == ids for key, ids in of_key.items() if key is not None
    )
    report = {
        "results": len(results),
        "twice": sum(count > 1 for count in results.values()) + sum(count > 1 for count in audited.values()),
        "missing": len(awaited - results.keys()) + len(results.keys() ^ audited.keys()),
        "in_order": in_order,
    }
    print(json.dumps(report))
    sys.exit(0 if report["results"] == REQUESTS + PLAIN and not report["twice"] and not report["missing"] and in_order else 1)


main()
