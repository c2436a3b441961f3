from faust.types import TP

from contracts.topics import TRACES
from eventlog.producer import KafkaLog
from streams.transport.tansu import high_watermarks


async def test_the_high_watermark_counts_every_record_of_a_batch(tansu: str) -> None:
    before = await high_watermarks(tansu, [TP(TRACES.name, 0)])
    log = KafkaLog(tansu, "watermark-test", 50)
    for number in range(100):
        log.publish(TRACES, f"key-{number}", b"{}")
    log.flush(10)
    log.close()
    after = await high_watermarks(tansu, [TP(TRACES.name, 0)])
    assert after[TP(TRACES.name, 0)] - before[TP(TRACES.name, 0)] == 100


async def test_an_empty_partition_ends_at_zero(tansu: str) -> None:
    assert await high_watermarks(tansu, [TP("model-versions", 0)]) == {TP("model-versions", 0): 0}
