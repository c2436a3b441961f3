"""How much of one user and of one item a round learns."""

import numpy as np

from contracts.events import EventKind
from contracts.examples import TrainingExample
from contracts.ids import UserId
from tests.builders import shop
from training.incremental.caps import (
    GROWTH,
    LEAST_LEFT_OF_ITEM,
    LEAST_WANTED_OF_ITEM,
    MOST_LEFT_BY_USER,
    MOST_WANTED_BY_USER,
    RoundCaps,
)
from training.incremental.replay import LEAST_REMEMBERED, ExampleReservoir


def memory(examples: list[TrainingExample] | None = None, capacity: int = 10_000) -> ExampleReservoir:
    kept = ExampleReservoir(capacity, np.random.default_rng(0))
    for example in examples or []:
        kept.add(example)
    return kept


def by(user: str, number: int, item: str, outcome: EventKind | None = EventKind.CLICK) -> TrainingExample:
    return shop.example(number, item, outcome=outcome).model_copy(update={"user_id": UserId(user)})


def test_a_crowd_of_new_users_teaches_little_of_one_item_in_a_round() -> None:
    bots = [by(f"bot{number}", number, "i13") for number in range(640)]
    assert len(RoundCaps().admit(bots, memory())) == LEAST_WANTED_OF_ITEM


def test_one_user_teaches_little_in_a_round_whatever_the_items() -> None:
    clicks = [by("bot", number, f"i{number}") for number in range(100)]
    left = [by("bot", number, f"i{number}", None) for number in range(100)]
    assert len(RoundCaps().admit([*clicks, *left], memory())) == MOST_WANTED_BY_USER + MOST_LEFT_BY_USER


def test_items_left_alone_are_capped_too() -> None:
    left = [by(f"bot{number}", number, "i13", None) for number in range(640)]
    assert len(RoundCaps().admit(left, memory())) == LEAST_LEFT_OF_ITEM


def test_the_caps_are_of_the_round_and_not_of_each_batch() -> None:
    caps, bots = RoundCaps(), [by(f"bot{number}", number, "i13") for number in range(64)]
    admitted = [example for start in range(0, 64, 8) for example in caps.admit(bots[start : start + 8], memory())]
    assert len(admitted) == LEAST_WANTED_OF_ITEM


def test_an_item_that_much_of_the_traffic_wants_is_learned_as_much() -> None:
    before = memory([by(f"u{number}", number, "i1" if number % 5 == 0 else f"o{number}") for number in range(1000)])
    honest = [by(f"v{number}", number, "i1" if number % 5 == 0 else f"o{number}") for number in range(500)]
    assert RoundCaps().admit(honest, before) == honest


def test_an_item_grows_by_its_share_of_what_was_learned_beside_the_others_and_not_of_what_came() -> None:
    before = memory([by(f"u{number}", number, "i1" if number < 200 else f"o{number}") for number in range(1000)])
    rush = [by(f"v{number}", number, "i1") for number in range(500)]
    others = [by(f"w{number}", number, f"o{number}") for number in range(400)]
    admitted = RoundCaps().admit([*others, *rush], before)
    assert len(admitted) - len(others) == GROWTH * 400 * (200 / 1000) / (1 - 200 / 1000)


def test_shares_follow_what_the_reservoir_still_holds() -> None:
    kept = memory([by(f"u{number}", number, "i1") for number in range(600)], capacity=600)
    assert kept.share(shop.example(0, "i1").item_id, wanted=True) == 1.0
    for number in range(60_000):
        kept.add(by(f"v{number}", number, "i2"))
    rest = kept.share(shop.example(0, "i1").item_id, wanted=True)
    assert rest < 0.05
    assert rest + kept.share(shop.example(0, "i2").item_id, wanted=True) == 1.0


def test_a_share_of_a_handful_is_small() -> None:
    kept = memory([by("u", number, "i1") for number in range(5)])
    assert kept.share(shop.example(0, "i1").item_id, wanted=True) == 5 / LEAST_REMEMBERED
