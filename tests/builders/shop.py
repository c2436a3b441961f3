"""A tiny shop for model tests: items in categories with telling vectors, users who each like one category."""

from datetime import timedelta

import numpy as np

from contracts.catalogue import Item
from contracts.clock import from_ms
from contracts.events import EventKind
from contracts.examples import TrainingExample
from contracts.ids import EventId, ExampleId, ItemId, UserId
from training.data.archive_set import TrainingSet, training_set
from training.data.feature_join import FeatureRows, Wanted
from training.data.sequences import ExampleRow
from training.model.content import ContentShape, ContentTable, ItemContent
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.vocabulary import Vocabulary

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
TEXT_WIDTH = 8
PICTURE_WIDTH = 6


def contents(count: int = 12, categories: int = 3, seed: int = 0) -> list[ItemContent]:
    """Items `i0`, `i1`, ...; item n is in category n % categories; every fourth has no picture."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(categories, TEXT_WIDTH))
    made = []
    for place in range(count):
        text = centres[place % categories] + 0.2 * rng.normal(size=TEXT_WIDTH)
        picture = rng.normal(size=PICTURE_WIDTH)
        item = Item(
            item_id=ItemId(f"i{place}"),
            title=f"Item {place}",
            category=f"category {place % categories}",
            brand=f"brand {place % 2}",
            price_cents=100 * (place + 1),
            attributes={"size": str(place % 4)},
        )
        made.append(
            ItemContent(
                item,
                (text / np.linalg.norm(text)).astype(np.float32),
                None if place % 4 == 0 else (picture / np.linalg.norm(picture)).astype(np.float32),
            )
        )
    return made


def table(items: list[ItemContent], spare: int = 4) -> ContentTable:
    """The content table of the items, with some id rows to spare."""
    made = ContentTable(
        ContentShape(TEXT_WIDTH, PICTURE_WIDTH, len(items) + spare),
        Vocabulary(content.item.item_id for content in items),
    )
    made.put(items)
    return made


def model(of: ContentTable, width: int = 16, dropout: float = 0.0) -> FusionTransformer:
    """An untrained model for the table, in evaluation mode; seed torch before for equal weights."""
    return FusionTransformer(FusionConfig(of.shape, width, layers=2, attention_heads=2, dropout=dropout)).eval()


def rows(users: int = 30, length: int = 14, items: int = 12, categories: int = 3, seed: int = 0) -> list[ExampleRow]:
    """Interactions of users who mostly touch the items of one category, a minute apart."""
    rng = np.random.default_rng(seed)
    made = []
    for user in range(users):
        for step in range(length):
            liked = np.arange(user % categories, items, categories)
            item = int(rng.choice(liked)) if rng.random() < 0.85 else int(rng.integers(items))
            kind = EventKind.PURCHASE if step % 3 == 2 else EventKind.CLICK
            at_ms = START_MS + step * 30 * MINUTE_MS + user * 1000
            made.append(ExampleRow(ExampleId(f"e{user}-{step}"), UserId(f"u{user}"), ItemId(f"i{item}"), at_ms, kind))
    return made


def shop(users: int = 30, length: int = 14, items: int = 12) -> TrainingSet:
    """A training set of the tiny shop."""
    return training_set(contents(items), rows(users, length, items), where="the tiny shop")


def no_features(wanted: Wanted) -> FeatureRows:
    """A point-in-time join over an archive without any event: no row anywhere."""
    return FeatureRows((None,) * len(wanted.users), (None,) * len(wanted.items))


def example(
    number: int,
    item: str = "i1",
    history: tuple[str, ...] = (),
    outcome: EventKind | None = EventKind.CLICK,
    traced: bool = False,
) -> TrainingExample:
    """One example a second after the one before it, its history a minute apart."""
    at = from_ms(START_MS) + timedelta(days=30, seconds=number)
    return TrainingExample(
        example_id=ExampleId(f"x{number}"),
        user_id=UserId(f"u{number % 5}"),
        item_id=ItemId(item),
        at=at,
        outcome=outcome,
        event_id=EventId(f"evt{number}") if outcome is not None else None,
        history_items=tuple(ItemId(item_id) for item_id in history),
        history_kinds=tuple(EventKind.CLICK for _ in history),
        history_times_ms=tuple(START_MS + MINUTE_MS * place for place in range(len(history))),
        traced=traced,
    )
