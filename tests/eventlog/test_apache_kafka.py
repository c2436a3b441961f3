"""What only an Apache Kafka has: topic configurations, and brokers that die while others live."""

import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from contracts.topics import EVENTS, ITEMS, TOPICS
from eventlog.admin import create_topics, topic_configs, wait_for_broker
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail, wait_until_caught_up
from tests.builders import servers


def test_three_replicas_want_two_in_sync_and_fewer_want_one() -> None:
    assert topic_configs(EVENTS, 3)["min.insync.replicas"] == "2"
    assert topic_configs(EVENTS, 1)["min.insync.replicas"] == "1"
    assert topic_configs(EVENTS, 1)["message.timestamp.type"] == "LogAppendTime"


def test_retention_and_compaction_come_from_the_wiring_map() -> None:
    assert topic_configs(EVENTS, 1)["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert topic_configs(ITEMS, 1)["cleanup.policy"] == "compact"


@pytest.mark.real_kafka
def test_every_topic_of_the_map_is_created_with_its_partitions(real_kafka: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=real_kafka)
    try:
        described = {topic["name"]: topic for topic in admin.describe_topics([topic.name for topic in TOPICS])}
    finally:
        admin.close()
    assert {name: len(topic["partitions"]) for name, topic in described.items()} == {
        topic.name: topic.partitions for topic in TOPICS
    }


@pytest.mark.real_kafka
def test_with_one_of_three_brokers_killed_no_acknowledged_message_is_lost(tmp_path: Path) -> None:
    with servers.kafka_cluster(tmp_path, brokers=3) as cluster:
        wait_for_broker(cluster.bootstrap, 30)
        create_topics(cluster.bootstrap, [EVENTS], embedded=False)
        log = KafkaLog(cluster.bootstrap, "test")
        futures = {}
        for n in range(600):
            if n == 200:
                cluster.kill_broker(2)
            futures[str(n).encode()] = log.publish(EVENTS, f"u-{n % 20}", str(n).encode())
            time.sleep(0.002)
        log.flush(60)
        log.close()
        acknowledged = {value for value, future in futures.items() if future.exception(0) is None}
        tail = KafkaTail(cluster.bootstrap, [EVENTS])
        found = [message.value for message in wait_until_caught_up(tail, 30)]
        tail.close()
    assert len(acknowledged) == 600
    assert acknowledged <= set(found)
    assert len(found) == len(set(found)), "an idempotent producer writes each message once"
