import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.ids import ItemId
from training.model.frequency_sketch import FrequencySketch
from training.model.id_table import SHARED_ROW, IdTable

IDS = st.integers(0, 30).map(lambda number: ItemId(f"i{number}"))
CALLS = st.lists(st.tuples(st.lists(IDS, max_size=12), st.lists(IDS, max_size=2)), max_size=30)
"""Ids seen, then ids retired."""


def ids(*numbers: int) -> list[ItemId]:
    return [ItemId(f"i{number}") for number in numbers]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), CALLS)
def test_no_two_ids_ever_share_a_row_and_rows_neither_appear_nor_vanish(
    rows: int, admit_after: int, calls: list[tuple[list[ItemId], list[ItemId]]]
) -> None:
    table, held = IdTable(rows, admit_after=admit_after), dict[ItemId, int]()
    for seen, retired in calls:
        turnover = table.observe(seen)
        for item_id, row in turnover.lost.items():
            assert held.pop(item_id) == row
        held |= turnover.gained
        table.retire(retired)
        if len(retired) > 1:
            for item_id, row in table.release(retired[:1]).items():
                assert held.pop(item_id) == row
        assert held == {item_id: table.row(item_id) for item_id in held}
        assert len(table) == len(held) == len(set(held.values()))
        assert set(held.values()) <= set(range(1, rows + 1))
        assert set(table.retired()) <= set(held)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), CALLS, CALLS)
def test_a_table_that_went_through_json_goes_on_as_if_it_had_not(
    rows: int,
    admit_after: int,
    before: list[tuple[list[ItemId], list[ItemId]]],
    after: list[tuple[list[ItemId], list[ItemId]]],
) -> None:
    table = IdTable(rows, ids(1), admit_after)
    for seen, retired in before:
        table.observe(seen)
        table.retire(retired)
    restored = IdTable.restored(json.loads(json.dumps(table.state())), admit_after)
    copied, untouched = table.copy(), table.copy().state()
    for seen, retired in after:
        assert restored.observe(seen) == table.observe(seen)
        restored.retire(retired)
        table.retire(retired)
    assert restored.state() == table.state()
    assert copied.state() == untouched


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(IDS, max_size=20), max_size=20))
def test_a_sketch_never_counts_too_low_before_its_first_halving(calls: list[list[ItemId]]) -> None:
    sketch, counted = FrequencySketch(1024), Counter[ItemId]()
    for seen in calls:
        after = sketch.add(seen)
        counted.update(seen)
        assert all(count >= counted[item_id] for item_id, count in zip(seen, after.tolist(), strict=True))
    assert (sketch.estimate(list(counted)) >= list(counted.values())).all()


def test_a_sketch_hardly_counts_too_high() -> None:
    sketch = FrequencySketch(4096)
    sketch.add([ItemId(f"seen{number}") for number in range(2000)])
    assert (sketch.estimate([ItemId(f"new{number}") for number in range(2000)]) > 0).mean() < 0.06


def test_counts_are_halved_when_as_many_ids_were_seen_as_there_are_counters() -> None:
    sketch = FrequencySketch(1024)
    sketch.add(ids(*[1] * 8))
    assert sketch.estimate(ids(1)).tolist() == [8]
    sketch.add([ItemId(f"other{number}") for number in range(1024 - 8)])
    assert sketch.estimate(ids(1)).tolist() == [8 // 2]


def test_an_id_earns_a_row_with_its_last_needed_sighting_and_not_before() -> None:
    table = IdTable(4, admit_after=3)
    assert table.observe(ids(1, 1)).gained == {}
    assert table.row(ItemId("i1")) == SHARED_ROW
    assert table.observe(ids(1)).gained == {ItemId("i1"): 1}


def test_ids_from_the_start_have_the_first_rows() -> None:
    assert IdTable(4, ids(7, 3)).rows(ids(3, 7, 5)).tolist() == [2, 1, SHARED_ROW]


def test_more_ids_from_the_start_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="found 3 ids for 2 rows"):
        IdTable(2, ids(1, 2, 3))


def test_the_id_not_seen_for_the_longest_leaves_first_when_rows_are_needed() -> None:
    table = IdTable(2, ids(1, 2), admit_after=1)
    table.observe(ids(1))
    turnover = table.observe(ids(3))
    assert (turnover.lost, turnover.gained) == ({ItemId("i2"): 2}, {ItemId("i3"): 2})


def test_ids_of_one_call_do_not_drive_each_other_out() -> None:
    table = IdTable(2, ids(1), admit_after=1)
    turnover = table.observe(ids(1, 2, 3))
    assert (turnover.lost, turnover.gained) == ({}, {ItemId("i2"): 2})


def test_a_retired_id_is_the_first_to_leave_though_it_was_seen_just_now() -> None:
    table = IdTable(2, ids(1, 2), admit_after=1)
    table.observe(ids(1, 2))
    table.retire(ids(2))
    table.observe(ids(2))
    assert table.observe(ids(3)).lost == {ItemId("i2"): 2}


def test_a_state_in_which_ids_share_a_row_is_refused() -> None:
    state = IdTable(2, ids(1, 2)).state()
    with pytest.raises(ValueError, match="expected a row an id"):
        IdTable.restored({**state, "rows": [1, 1]})


def test_a_million_new_ids_need_no_more_memory_than_ten_thousand_rows() -> None:
    table = IdTable(10_000, admit_after=2)
    bytes_before, admitted = table.nbytes, 0
    for start in range(0, 1_000_000, 10_000):
        new = [ItemId(f"new{number}") for number in range(start, start + 10_000)]
        admitted += len(table.observe(new).gained)
        assert len(table) <= 10_000
    assert table.nbytes == bytes_before == 4 * 65_536
    # Seen once each: what is admitted all the same is what the sketch mistakes for ids seen before.
    assert admitted < 0.1 * 1_000_000


def test_in_a_stream_of_new_ids_the_frequent_ones_have_the_rows() -> None:
    rng = np.random.default_rng(0)
    table, frequent = IdTable(200, admit_after=3), [ItemId(f"often{number}") for number in range(100)]
    for call in range(200):
        new = [ItemId(f"new{call}-{number}") for number in range(50)]
        table.observe([*new, *(frequent[place] for place in rng.integers(0, 100, 50).tolist())])
    assert sum(item_id in table for item_id in frequent) == 100
