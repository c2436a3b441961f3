from pathlib import Path

import numpy as np
import pytest

from contracts.errors import NotEnoughData
from contracts.events import EventKind
from contracts.features import HISTORY_LENGTH
from contracts.ids import ExampleId, ItemId, UserId
from feature_repo.archive import ArchiveReader, ArchiveWriter
from feature_repo.archive_rows import example_row
from tests.builders import shop
from training.data.archive_set import SPARE_ID_ROWS, example_rows, training_set
from training.data.collate import Epoch, batches, collate
from training.data.sequences import ExampleRow, UserSequence, sequences, windows
from training.model.vocabulary import Vocabulary

WANTED = {"i1": 15, "i2": 25, "i3": 20}
VOCABULARY = Vocabulary(ItemId(f"i{place}") for place in range(200))


def row(example_id: str, item: str, at_ms: int, outcome: EventKind | None = EventKind.CLICK) -> ExampleRow:
    return ExampleRow(ExampleId(example_id), UserId("u"), ItemId(item), at_ms, outcome)


def user(items: list[int], times_ms: list[int] | None = None) -> UserSequence:
    rows = [row(f"e{place:04}", f"i{item}", (times_ms or range(len(items)))[place]) for place, item in enumerate(items)]
    return sequences(rows, VOCABULARY)[0]


def test_interactions_are_in_time_order_and_a_repeated_example_counts_once() -> None:
    made = sequences([row("b", "i2", 20), row("a", "i1", 10), row("b", "i2", 20)], VOCABULARY)
    assert made[0].items.tolist() == [1, 2]
    assert made[0].times_ms.tolist() == [10, 20]


def test_negatives_and_unknown_items_are_in_no_sequence() -> None:
    made = sequences([row("a", "i1", 10), row("b", "i2", 20, None), row("c", "nowhere", 30)], VOCABULARY)
    assert made[0].items.tolist() == [1]


def test_a_cancellation_in_the_archive_is_no_interaction(tmp_path: Path) -> None:
    bought = shop.example(0, "i1", outcome=EventKind.PURCHASE)
    archive = ArchiveWriter(tmp_path, "feedback")
    archive.append([example_row(bought), example_row(shop.example(1, "i2").model_copy(update={"quantity": -1}))])
    archive.flush()
    assert [one.example_id for one in example_rows(ArchiveReader(tmp_path))] == [bought.example_id]


def test_the_first_touch_of_an_item_is_fresh() -> None:
    assert user([3, 4, 3, 5]).fresh.tolist() == [True, True, False, True]


def test_before_leaves_out_the_interaction_at_the_time_itself() -> None:
    assert user([1, 2, 3], [10, 20, 30]).before(20).items.tolist() == [1]


def test_every_interaction_is_a_target_in_some_window() -> None:
    long = user(list(range(170)))
    cut = list(windows([long], np.random.default_rng(0)))
    assert {int(item) for window in cut for item in window.items} == set(range(170))
    assert max(len(window) for window in cut) <= HISTORY_LENGTH + 1


def test_a_window_is_right_padded_and_each_position_has_the_next_fresh_item_as_target() -> None:
    batch = collate([user([3, 4, 3, 5]), user([1, 2, 3, 4, 5])], horizon=1, rng=np.random.default_rng(0))
    assert batch.items.shape == (2, 4)
    assert batch.items[0].tolist() == [3, 4, 3, 0]
    assert batch.targets[0].tolist() == [3, 4, 5, 5, 0]
    assert batch.weights[0].sum() == 4


def test_batches_hold_windows_of_like_length_and_no_more_positions_than_asked_for() -> None:
    users = [user(list(range(length))) for length in (2, 3, 4, 40, 41, 42, 5, 6)]
    made = list(batches(users, 2, 1, Epoch(1, 0)))
    assert sum(len(batch.items) for batch in made) == len(users)
    assert all(batch.targets.numel() <= 2 * (HISTORY_LENGTH + 1) for batch in made)
    padding = sum(batch.targets.numel() for batch in made) - sum(map(len, users))
    assert padding < 30


def test_a_position_without_a_fresh_item_ahead_has_no_target() -> None:
    batch = collate([user([3, 4, 3])], horizon=1, rng=np.random.default_rng(0))
    assert batch.weights[0, :3].tolist() == [1.0, 1.0, 0.0]


def test_workers_share_the_windows_and_none_gets_more_batches() -> None:
    users = [user(list(range(start, start + 20))) for start in range(23)]
    alone = list(batches(users, 2, 1, Epoch(1, 0)))
    parts = [list(batches(users, 2, 1, Epoch(1, 0, rank, 2))) for rank in range(2)]
    assert [len(part) for part in parts] == [len(alone) // 2] * 2
    firsts = [int(item) for part in parts for batch in part for item in batch.items[:, 0]]
    assert len(set(firsts)) == len(firsts)


def test_too_few_interactions_say_how_many_and_what_to_do() -> None:
    with pytest.raises(NotEnoughData, match=r"found 2 interactions.*expected at least 50; replay"):
        training_set(shop.contents(), shop.rows(users=1, length=2), where="here")


def test_an_empty_catalogue_says_so() -> None:
    with pytest.raises(NotEnoughData, match="found 0 items"):
        training_set([], shop.rows(), where="here")


def test_where_id_rows_are_few_the_items_touched_most_have_them() -> None:
    rows = [row(f"{item}-{time}", item, time) for item, times in WANTED.items() for time in range(times)]
    made = training_set(shop.contents(4), rows, "a log", most_ids=2)
    assert [bool(made.table.ids.row(ItemId(item))) for item in WANTED] == [False, True, True]
    assert made.table.shape.id_rows == 2


def test_an_item_that_nobody_touched_has_no_id_row_and_some_rows_are_left_for_it() -> None:
    made = training_set(shop.contents(4), [row(f"e{time}", f"i{time % 3}", time) for time in range(60)], "a log")
    assert made.table.id_rows().astype(bool).tolist() == [True, True, True, False]
    assert made.table.shape.id_rows == 3 + SPARE_ID_ROWS
