"""What training joins is what the streams had: on a real log, and on the demo's own with impressions."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.feature_parity import REPLAY, Logged, Parity, difference, parity
from benchmarks.retail import FILE
from contracts.catalogue import Item
from contracts.events import Click, ImpressedItem, Impression, Interaction
from contracts.features import UserFeatures
from contracts.ids import EventId, RequestId
from millstream.sources.complete_journey import demo_log
from millstream.sources.online_retail import OnlineRetail
from millstream.sources.rejects import Rejects

EVENTS = 12_000
LEAST_EQUAL = 0.999
LEAST_EQUAL_IN_A_REPLAY = 0.995


def told(found: Parity) -> str:
    return "\n".join(words for _, words in found.differing[:20])


def online_retail(scratch: Path) -> tuple[list[Interaction], list[Item]]:
    if not FILE.exists():
        pytest.skip(f"found no {FILE}")
    source = OnlineRetail(FILE, Rejects(scratch / "rejects.jsonl"))
    log = sorted(islice(source.events(), EVENTS), key=lambda event: event.at)
    return log, [item.model_copy(update={"category": item.item_id[:2]}) for item in source.items()]


def test_on_online_retail_the_joined_rows_are_those_of_the_streams(tmp_path: Path) -> None:
    found = parity(*online_retail(tmp_path), tmp_path / "state")
    assert found.compared > EVENTS / 2
    assert found.share >= LEAST_EQUAL, told(found)


def test_in_the_large_batches_of_a_replay_only_the_weakest_co_visits_depend_on_the_order(tmp_path: Path) -> None:
    found = parity(*online_retail(tmp_path), tmp_path / "state", REPLAY)
    assert found.share >= LEAST_EQUAL_IN_A_REPLAY, told(found)
    assert {feature for feature, _ in found.differing} <= {"co_visit_items", "co_visit_weights"}, told(found)


def test_on_the_demos_log_with_impressions_the_joined_rows_are_those_of_the_streams(tmp_path: Path) -> None:
    demo = demo_log(datetime(2026, 11, 1, tzinfo=UTC), items=400, households=40)
    found = parity(with_impressions(demo.history[:EVENTS], demo.items), demo.items, tmp_path)
    assert found.compared > len(demo.history[:EVENTS])
    assert found.share >= LEAST_EQUAL, told(found)


def test_a_feature_that_differs_is_named_with_both_values() -> None:
    one = UserFeatures(event_count=2, category_weights=(1.0, 0.5))
    assert difference(one, UserFeatures(event_count=2, category_weights=(1.0 + 1e-12, 0.5))) is None
    assert difference(one, UserFeatures(event_count=3)) == (
        "category_weights",
        "category_weights: found (); expected (1.0, 0.5)",
    )
    assert difference(one, None) == ("row", f"found None; expected {one}")


def with_impressions(events: tuple[Logged, ...], items: tuple[Item, ...]) -> list[Logged]:
    """The log with an answer of ten items, the clicked one among them, a second before each click."""
    rng = np.random.default_rng(7)
    log: list[Logged] = []
    for number, event in enumerate(events):
        if isinstance(event, Click):
            others = [items[place].item_id for place in rng.integers(0, len(items), 9).tolist()]
            log.append(
                Impression(
                    event_id=EventId(f"shown-{number}"),
                    at=event.at - timedelta(seconds=1),
                    user_id=event.user_id,
                    request_id=RequestId(f"r-{number}"),
                    surface="recommendations",
                    model_version=None,
                    items=tuple(
                        ImpressedItem(item_id=item_id, position=place, score=0.0)
                        for place, item_id in enumerate([*others, event.item_id])
                    ),
                )
            )
        log.append(event)
    return sorted(log, key=lambda event: event.at)
