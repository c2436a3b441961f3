"""The whole local stack for a test: own ports, own state directory, a small catalogue, a short history, a model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.events import Click, Interaction, Purchase
from contracts.ids import EventId, ItemId, UserId
from contracts.settings import Settings
from contracts.versions import PublishedVersion
from feature_repo.pictures import FilePictureStore
from millstream.commands.train import train_and_publish
from millstream.demo.pictures.draw import draw
from millstream.demo.shop import Shop
from millstream.demo.waits import wait_for_archive, wait_for_vectors, wait_until_served
from millstream.sources.publish import publish_items
from millstream.sources.replaying import replay_events, wait_until_consumed
from millstream.stack.client import start_stack, stop_stack, wait_until_ready
from tests.builders.servers import KafkaCluster, free_port

CATEGORIES = ("Fruit", "Yogurt", "Candy", "Juice", "Meat")
ITEMS, USERS, EVENTS_EACH = 40, 40, 14

Seen = TypeVar("Seen")


@dataclass
class RunningShop:
    """A stack that serves its first model. `cluster` is the Apache Kafka beneath it, where there is one."""

    settings: Settings
    shop: Shop
    version: PublishedVersion
    cluster: KafkaCluster | None = None


def settings_for(directory: Path, bootstrap: str) -> Settings:
    """Settings with ports and a state directory of their own, and a quick training."""
    return Settings(
        state_dir=directory / "state",
        kafka_bootstrap=bootstrap,
        app_id=f"e2e-{free_port()}",
        broker_port=free_port(),
        vectors_port=free_port(),
        gateway_port=free_port(),
        streams_metrics_port=free_port(),
        learner_metrics_port=free_port(),
        train_epochs=1,
        model_width=16,
        learner_publish_every_s=1.0,
        archive_flush_every_s=1.0,
        request_deadline_ms=2000,  # A loaded CI machine is slow, and what is late would count as degraded.
    )


@contextmanager
def running_shop(directory: Path, cluster: KafkaCluster | None) -> Iterator[RunningShop]:
    """Starts the stack, fills it, trains, and stops it; fails when anything is left running."""
    settings = settings_for(directory, cluster.bootstrap if cluster else "")
    try:
        start_stack(settings, leashed=True)
        wait_until_ready(settings, lambda record: None)
        publish_items(settings, catalogue(settings), _quiet)
        replay_events(settings, history(), 0.0, _quiet)
        wait_until_consumed(settings, _quiet)
        wait_for_vectors(settings, ITEMS, _quiet)
        wait_for_archive(settings)
        version = train_and_publish(settings, _quiet)
        wait_until_served(settings, version)
        with Shop(settings.gateway) as shop:
            yield RunningShop(settings, shop, version, cluster)
    finally:
        leftovers = stop_stack(settings)
    assert leftovers == 0, "the supervisor left processes running"


def catalogue(settings: Settings) -> list[Item]:
    """Items `i0`, `i1`, ... in five categories, every second one with a picture."""
    pictures = FilePictureStore(settings.pictures_dir, settings.picture_max_bytes)
    items = [
        Item(
            item_id=ItemId(f"i{place}"),
            title=f"{CATEGORIES[place % 5]} number {place}",
            category=CATEGORIES[place % 5],
            brand=f"Brand {place % 3}",
            price_cents=100 + 10 * place,
        )
        for place in range(ITEMS)
    ]
    return [
        item.model_copy(update={"picture": pictures.put(draw(item))}) if place % 2 == 0 else item
        for place, item in enumerate(items)
    ]


def history() -> list[Interaction]:
    """Clicks and purchases of users who each like one category, over the last two days."""
    rng = np.random.default_rng(7)
    start = utc_now() - timedelta(days=2)
    events: list[Interaction] = []
    for user in range(USERS):
        for step in range(EVENTS_EACH):
            liked = rng.random() < 0.8
            item = int(rng.integers(8)) * 5 + user % 5 if liked else int(rng.integers(ITEMS))
            fields = {
                "event_id": EventId(f"h-{user}-{step}"),
                "at": start + timedelta(minutes=180 * step + user),
                "user_id": UserId(f"u{user}"),
                "item_id": ItemId(f"i{item}"),
            }
            events.append(Purchase.model_validate(fields) if step % 3 == 2 else Click.model_validate(fields))
    return sorted(events, key=lambda event: event.at)


def until(look: Callable[[], Seen], wanted: Callable[[Seen], bool], within_s: float, expected: str) -> Seen:
    """Looks again and again until what is seen is wanted; fails with what was seen last."""
    deadline = time.monotonic() + within_s
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"found {seen!r} after {within_s} s; expected {expected}"
        time.sleep(0.05)
    return seen


def _quiet(done: float, total: float, word: str) -> None:
    """Progress that nobody watches."""
