import numpy as np
import pytest

from contracts.errors import NotEnoughData
from tests.training.evaluation.logs import DAY_MS, log_of, user
from training.data.archive_set import TrainingSet
from training.evaluation.protocol import Split, k_folds, leave_one_out, session_split, time_split


def a_log(users: int = 40, length: int = 8, items: int = 30) -> TrainingSet:
    rng = np.random.default_rng(0)
    return log_of(
        [
            user(
                rng.choice(items, length, replace=False).tolist(),
                sorted(rng.choice(100 * DAY_MS, length, replace=False).tolist()),
                name=f"u{place:03}",
            )
            for place in range(users)
        ],
        items,
    )


def pairs(log: TrainingSet) -> set[tuple[str, int]]:
    return {(each.user_id, int(item)) for each in log.users for item in each.items}


def asked(split: Split) -> set[tuple[str, int]]:
    return {(each.history.user_id, item) for each in split.test for item in each.targets}


def chosen_on(split: Split) -> set[tuple[str, int]]:
    return {(each.history.user_id, item) for each in split.validation for item in each.targets}


@pytest.mark.parametrize("split", [leave_one_out(a_log()), time_split(a_log()), session_split(a_log())])
def test_only_items_that_are_learned_have_an_id_row(split: Split) -> None:
    for part in (split.training, split.newer):
        touched = np.unique(np.concatenate([user.items for user in part.users])).tolist()
        assert np.flatnonzero(part.table.id_rows()).tolist() == touched


@pytest.mark.parametrize("split", [leave_one_out(a_log()), time_split(a_log()), session_split(a_log())])
def test_what_is_asked_is_learned_nowhere(split: Split) -> None:
    assert asked(split)
    assert not asked(split) & (pairs(split.training) | pairs(split.newer))
    assert not chosen_on(split) & pairs(split.training)
    assert split.without_history == (split.protocol != "sessions")


@pytest.mark.parametrize("split", k_folds(a_log(), 5, seed=1))
def test_a_fold_learns_nothing_of_the_users_that_it_tests(split: Split) -> None:
    tested = {each.history.user_id for each in split.test}
    assert tested
    assert not tested & {each.user_id for each in split.newer.users}


def test_folds_test_each_user_once() -> None:
    tested = [each.history.user_id for split in k_folds(a_log(), 5, seed=1) for each in split.test]
    assert sorted(tested) == sorted(each.user_id for each in a_log().users)


def test_leave_one_out_tests_the_last_item_and_validates_the_one_before() -> None:
    log = log_of([user([1, 2, 3, 4], name=f"u{place}") for place in range(6)], 10)
    split = leave_one_out(log)
    assert [each.targets for each in split.test] == [{4}] * 6
    assert [each.targets for each in split.validation] == [{3}] * 6
    assert split.test[0].history.items.tolist() == [1, 2, 3]
    assert all(each.items.tolist() == [1, 2] for each in split.training.users)


def test_a_user_with_one_event_is_learned_from_and_not_tested() -> None:
    log = log_of([user([7], name="one"), *(user([1, 2, 3], name=f"u{place}") for place in range(6))], 10)
    split = leave_one_out(log)
    assert "one" in {each.user_id for each in split.training.users}
    assert "one" not in {each.history.user_id for each in split.test}


def test_nothing_learned_is_newer_than_the_cut_and_targets_are_new_to_the_user() -> None:
    log = a_log()
    cut_ms = 80 * DAY_MS
    split = time_split(log, cut_ms)
    assert split.newer.data_to_ms < cut_ms
    for each in split.test:
        assert each.at_ms == cut_ms
        assert not each.targets & set(each.history.items.tolist())


def test_items_that_nobody_had_before_the_cut_are_asked_for_apart() -> None:
    users = [user([1, 2, 3, 9], [0, DAY_MS, 2 * DAY_MS, 90 * DAY_MS], name=f"u{place}") for place in range(6)]
    users += [user([1, 2, 3], [0, DAY_MS, 91 * DAY_MS], name=f"v{place}") for place in range(6)]
    split = time_split(log_of(users, 10), 80 * DAY_MS)
    assert {item for each in split.newcomers for item in each.targets} == {9}
    assert {item for each in split.test for item in each.targets} == {3}


def test_sessions_ask_for_the_next_item_of_every_prefix() -> None:
    users = [user([1, 2, 3], [place * 10, place * 10 + 1, place * 10 + 2]) for place in range(30)]
    split = session_split(log_of(users, 5))
    assert len(split.test) == 3 * 2  # the newest tenth: three sessions of two prefixes
    assert split.test[1].history.items.tolist() == [1, 2]
    assert split.test[1].targets == {3}


def test_too_few_test_users_say_what_to_do() -> None:
    with pytest.raises(NotEnoughData, match=r"found 2 users with at least two.*expected at least 5; collect"):
        leave_one_out(log_of([user([1, 2, 3], name=f"u{place}") for place in range(2)], 10))
