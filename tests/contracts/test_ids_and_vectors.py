"""Ids that sort by time, vectors as text, and the wiring map."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import from_ms, to_ms
from contracts.ids import time_ordered_id
from contracts.topics import TOPICS
from contracts.vectors import vector_from_base64, vector_to_base64

TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(earlier=TIMES, gap_ms=st.integers(1, 10**12))
def test_ids_sort_by_the_time_of_their_making(earlier: datetime, gap_ms: int) -> None:
    later = from_ms(to_ms(earlier) + gap_ms)
    assert time_ordered_id("evt", earlier) < time_ordered_id("evt", later)


def test_ids_of_one_instant_differ() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert len({time_ordered_id("evt", now) for _ in range(1000)}) == 1000


@given(TIMES)
def test_milliseconds_keep_a_time_to_the_millisecond(at: datetime) -> None:
    assert abs(from_ms(to_ms(at)) - at) <= timedelta(milliseconds=0.5)


@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=64))
def test_a_vector_of_half_floats_survives_as_text(values: list[float]) -> None:
    vector = np.array(values, dtype=np.float32)
    again = vector_from_base64(vector_to_base64(vector))
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, vector)


def test_topics_have_names_of_their_own_and_at_least_one_partition() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert all(topic.partitions >= 1 and topic.consumers and topic.producer for topic in TOPICS)
